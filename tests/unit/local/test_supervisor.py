from __future__ import annotations

import configparser
import os
from dataclasses import replace
from pathlib import Path

import pytest

from pgstead.errors import PlatformError
from pgstead.platforms.local.account import service_account
from pgstead.platforms.local.card import ServiceCard
from pgstead.platforms.local.places import Places
from pgstead.platforms.local.supervisor import Supervisor


@pytest.fixture
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("it is mine")


def own(root: Path) -> Supervisor:
    account = replace(service_account(None), switch=False, uid=os.geteuid())
    return Supervisor(Places(root, root / "short", account), "id")


def test_a_machines_services_are_written_down_as_supervisor_reads_them(root: Path) -> None:
    own(root).configure("m", [ServiceCard("app", stop_signal="INT", stop_seconds=7)])
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
    parser.read(root / "supervisor/machines/m.conf")
    values = dict(parser["program:app@m"])
    assert values["command"] == f"/bin/sh '{root}/machines/m/services/app'"
    assert values["stopsignal"] == "INT"
    assert values["stopwaitsecs"] == "7"
    assert values["killasgroup"] == "false"


def test_a_machine_that_is_stopped_is_started_by_no_supervisor(root: Path) -> None:
    made = own(root)
    made.configure("m", [ServiceCard("app")])
    made.deactivate("m")
    made.deactivate("m")
    assert list((root / "supervisor/machines").iterdir()) == []
    made.configure("m", [ServiceCard("app")])
    assert list((root / "supervisor/stopped").iterdir()) == []
    made.forget("m")
    assert list((root / "supervisor/machines").iterdir()) == []


def test_its_own_configuration_is_accepted_by_supervisor(root: Path) -> None:
    from supervisor.options import ServerOptions  # noqa: PLC0415

    made = own(root)
    made.prepare()
    made.configure("m", [ServiceCard("app")])
    (root / "machines/m/log").mkdir(parents=True)
    options = ServerOptions()
    options.realize(["-c", str(made.config_file)])
    group, rotation = sorted(options.process_group_configs, key=lambda one: str(one.name))
    assert (group.name, rotation.name) == ("app@m", "rotate")
    assert rotation.process_configs[0].stdout_logfile is None  # else it makes one in /tmp
    assert group.process_configs[0].command == f"/bin/sh '{root}/machines/m/services/app'"
    assert options.unlink_socketfiles is not None


@pytest.mark.parametrize("name", ["a ;b", "100%"])
def test_a_folder_that_supervisor_cannot_name_is_refused(root: Path, name: str) -> None:
    awkward = root / name
    awkward.mkdir()
    with pytest.raises(PlatformError, match="the supervisor cannot work in"):
        own(awkward).prepare()
