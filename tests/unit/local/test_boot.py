from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pgstead.errors import CommandFailed, PlatformError
from pgstead.platforms.local import boot
from pgstead.platforms.local.account import service_account
from pgstead.platforms.local.boot import BootUnit
from pgstead.platforms.local.places import Places
from pgstead.platforms.local.supervisor import Supervisor
from pgstead.run import run


@pytest.fixture
def unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BootUnit:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    account = replace(service_account(None), switch=False)
    places = Places(tmp_path / "qa-1", tmp_path / "short", account)
    return BootUnit(places, Supervisor(places, "1"))


def test_the_unit_starts_the_supervisor(unit: BootUnit, tmp_path: Path) -> None:
    text = unit.text()
    assert f'"-c" "{tmp_path}/qa-1/supervisor/supervisord.conf"' in text
    assert '"--nonblock"' in text
    assert "User=" not in text
    assert unit.file == tmp_path / "config/systemd/user/pgstead-qa-1.service"


def test_systemd_understands_the_unit(unit: BootUnit, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    (tmp_path / "qa-1/supervisor").mkdir(parents=True)
    file = tmp_path / unit.name
    file.write_text(unit.text())
    try:
        done = run(["systemd-analyze", "--user", "verify", file], check=False)
    except CommandFailed as error:
        pytest.skip(error.message)
    assert str(file) not in done.stderr
    assert unit.name not in done.stderr


def test_without_systemd_it_says_so(unit: BootUnit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot, "_BOOTED_WITH_SYSTEMD", Path("/no/systemd"))
    with pytest.raises(PlatformError, match="start_at_boot needs systemd") as caught:
        unit.enable()
    assert "start_at_boot to false" in str(caught.value.hint)
    unit.disable()


def test_enabling_and_disabling_tell_systemd(
    unit: BootUnit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said: list[list[str]] = []
    monkeypatch.setattr(boot, "_BOOTED_WITH_SYSTEMD", tmp_path)
    monkeypatch.setattr(boot, "run", lambda argv, **_: said.append(argv))
    unit.enable()
    unit.enable()
    assert unit.file.exists()
    assert said.count(["systemctl", "--user", "daemon-reload"]) == 1
    assert said.count(["systemctl", "--user", "enable", unit.name]) == 2
    unit.disable()
    assert not unit.file.exists()
    assert ["systemctl", "--user", "disable", unit.name] in said
