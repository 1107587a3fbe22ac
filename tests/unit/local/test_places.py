from __future__ import annotations

from pathlib import Path

import pytest

from pgstead.caches import cache_folder
from pgstead.errors import PlatformError
from pgstead.platforms.local.account import Account
from pgstead.platforms.local.places import (
    SOCKET_BYTES,
    MachinePlaces,
    stack_places,
)


def account(*, switch: bool) -> Account:
    return Account("someone", 1234, 1234, Path("/home/someone"), switch)


def test_root_has_the_systems_place_and_others_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/someone")
    roots = [
        stack_places(None, "qa", "1a2b", account(switch=switch)).root for switch in (True, False)
    ]
    assert roots == [
        Path("/var/lib/pgstead/qa-1a2b"),
        Path("/home/someone/.local/share/pgstead/qa-1a2b"),
    ]
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert stack_places(None, "qa", "1", account(switch=False)).root == Path("/data/pgstead/qa-1")
    assert stack_places("/mine", "qa", "1", account(switch=True)).root == Path("/mine/qa-1")


def test_a_machines_paths_are_below_its_folder() -> None:
    here = MachinePlaces(Path("/root/m"), Path("/short/m"))
    assert here.of("/etc/etcd/conf.yml") == Path("/root/m/etc/etcd/conf.yml")
    assert here.of("/run/postgresql") == Path("/short/m/postgresql")
    assert here.of("/running") == Path("/root/m/running")


@pytest.mark.parametrize("path", ["etc/passwd", "/etc/../../passwd"])
def test_a_path_that_leads_out_of_the_machine_is_refused(path: str) -> None:
    with pytest.raises(PlatformError, match="is not an absolute path on a machine"):
        MachinePlaces(Path("/root/m"), Path("/short/m")).of(path)


def test_sockets_fit_however_deep_the_stack_lies() -> None:
    for length in range(1, 150, 7):
        places = stack_places("/" + "d" * length, "stack", "id", account(switch=True))
        machine = places.machine("postgres-1")
        for socket in (
            machine.of("/run/postgresql/.s.PGSQL.5432.lock"),
            machine.of("/run/haproxy/master.sock.4194304.tmp"),
            places.supervisor_socket.with_name("supervisor.sock.4194304"),
        ):
            assert len(str(socket)) <= SOCKET_BYTES


def test_short_folders_of_two_stacks_differ() -> None:
    one, two = (stack_places("/x", "qa", name, account(switch=True)).short for name in "ab")
    assert one != two
    assert one.parent == Path("/tmp/pgstead-1234")


def test_the_cache_is_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert cache_folder() == Path("/cache/pgstead")
