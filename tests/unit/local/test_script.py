from __future__ import annotations

from pathlib import Path

import pytest

from pgstead.machine import Service
from pgstead.platforms.local.places import MachinePlaces
from pgstead.platforms.local.script import digest_of, script
from pgstead.platforms.software import service_digest
from pgstead.run import run

AWKWARD = ("it's", "100%", "a ;b", "#no", "two\nlines", "$HOME", "", "flock")


def test_what_a_script_starts_can_be_told_from_its_text() -> None:
    service = Service("app", ("/bin/app", *AWKWARD), environment={"LANG": "de", "KEY": "a b=c"})
    text = script(MachinePlaces(Path("/m x"), Path("/run")), "id", "m", service)
    assert digest_of(text) == service_digest(service.command, service.environment)


@pytest.mark.parametrize(
    "text", ["", "#!/bin/sh\nexec sleep 1\n", "exec flock 'open", "2>&1\nflock a b"]
)
def test_a_script_that_is_not_ours_has_no_digest(text: str) -> None:
    assert digest_of(text) is None


def test_a_program_gets_its_words_and_an_environment_made_anew(tmp_path: Path) -> None:
    for folder in ("lock", "log"):
        (tmp_path / folder).mkdir()
    show = 'printf "%s|" "$@"; env | sort | tr "\\n" "|"'
    service = Service("app", ("/bin/sh", "-c", show, "show", *AWKWARD), environment={"LANG": "de"})
    file = tmp_path / "script"
    file.write_text(script(MachinePlaces(tmp_path, tmp_path / "run"), "id", "m", service))
    said = run(["/bin/sh", file], env={"SECRET": "of the caller"})
    assert said.stdout + said.stderr == ""  # all of it is in its own log
    words = (tmp_path / "log/app.log").read_text().split("|")
    assert tuple(words[: len(AWKWARD)]) == AWKWARD
    environment = dict(word.split("=", 1) for word in words[len(AWKWARD) :] if word)
    del environment["PWD"], environment["PATH"]
    environment.pop("SHLVL", None)
    environment.pop("_", None)
    assert environment == {
        "LANG": "de",
        "HOME": str(tmp_path),
        "PGSTEAD_MACHINE": "id/m",
        "PGSTEAD_SERVICE": "app",
    }
