from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from pgstead.errors import PlatformError
from pgstead.machine import File, path, replace_tokens
from pgstead.platforms.local.files import write_file
from pgstead.platforms.local.places import MachinePlaces
from pgstead.reach.local import LocalReach


@pytest.fixture
def reach(tmp_path: Path) -> LocalReach:
    here = MachinePlaces(tmp_path, tmp_path / "run")
    return LocalReach(
        machine="m",
        folder=tmp_path,
        place=here.of,
        log=here.log,
        text=lambda text: replace_tokens(text, lambda _, name: str(here.of(name))),
        write=write_file,
        acting=nullcontext,
        environment={"PATH": "/usr/bin:/bin"},
    )


def test_what_is_pushed_can_be_read(reach: LocalReach, tmp_path: Path) -> None:
    reach.push(File("/etc/app/conf", f"data: {path('/var/lib/app')}\n", mode=0o600))
    assert reach.read("/etc/app/conf") == f"data: {tmp_path}/var/lib/app\n"
    assert reach.read("/etc/none") is None
    with pytest.raises(PlatformError, match="cannot be read: Is a directory"):
        reach.read("/etc/app")


def test_commands_run_in_the_machines_folder(reach: LocalReach, tmp_path: Path) -> None:
    done = reach.run(["sh", "-c", f"pwd; echo {path('/etc/x')}; env | cut -d= -f1 | sort; exit 3"])
    assert done.code == 3
    lines = done.stdout.splitlines()
    assert lines[:2] == [str(tmp_path), f"{tmp_path}/etc/x"]
    assert set(lines[2:]) <= {"PATH", "PWD", "_", "SHLVL", "OLDPWD"}


def test_a_command_that_is_not_there_is_told_of(reach: LocalReach) -> None:
    with pytest.raises(PlatformError, match="m: the program /no/such is not installed"):
        reach.run(["/no/such"])


def test_the_last_lines_of_a_log(reach: LocalReach, tmp_path: Path) -> None:
    write_file(tmp_path / "log/app.log", "one\ntwo\nthree\n")
    assert list(reach.logs("app", lines=2)) == ["two", "three"]
    with pytest.raises(PlatformError, match="no log of a service 'nothing'") as caught:
        next(reach.logs("nothing"))
    assert caught.value.hint == "it has logs of: app"


def test_a_log_is_followed_through_growth_truncation_and_rotation(
    reach: LocalReach, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log/app.log"
    write_file(log, "one\n")
    monkeypatch.setattr("pgstead.reach.local.FOLLOW_SECONDS", 0)
    followed = reach.logs("app", follow=True)
    assert next(followed) == "one"
    with log.open("a") as open_log:
        open_log.write("two\nthr")
        open_log.flush()
        assert next(followed) == "two"
        open_log.write("ee\n")
    assert next(followed) == "three"
    log.rename(log.with_name("app.log.1"))
    log.write_text("four\n")
    assert next(followed) == "four"
    log.write_text("5\n")
    assert next(followed) == "5"
