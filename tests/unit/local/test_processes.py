"""Which of a machine's processes is a service's main one."""

from pathlib import Path

import pytest

from pgstead.platforms.local import processes
from pgstead.platforms.local.processes import Process, holders

LOCK = Path("/machines/one/lock/haproxy")
SUPERVISOR = 10


@pytest.fixture(autouse=True)
def _all_have_it_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_open_files", lambda _: {str(LOCK)})


def test_the_one_that_waits_for_the_lock_does_not_hold_it() -> None:
    orphan, waiting = Process(20, 1, 5, "haproxy"), Process(30, SUPERVISOR, 9, "flock")
    assert holders(LOCK, [orphan, waiting]) == [orphan]


def test_a_worker_is_no_main_process() -> None:
    master, worker = Process(20, SUPERVISOR, 5, "haproxy"), Process(21, 20, 6, "haproxy")
    assert holders(LOCK, [master, worker]) == [master]


def test_a_worker_of_one_that_was_seen_before_it_got_the_lock_is_none_either() -> None:
    starting, worker = Process(20, SUPERVISOR, 5, "flock"), Process(21, 20, 6, "haproxy")
    assert holders(LOCK, [starting, worker]) == []


@pytest.mark.parametrize(
    ("name", "command", "becoming"),
    [
        ("supervisord", b"supervisord\0-c", True),  # the copy that fork made
        ("flock", b"flock\0lock", True),
        ("etcd", b"etcd\0--config-file", False),
        ("etcd", b"", False),
    ],
)
def test_a_process_that_is_not_the_server_yet(
    monkeypatch: pytest.MonkeyPatch, name: str, command: bytes, *, becoming: bool
) -> None:
    commands = {SUPERVISOR: b"supervisord\0-c", 20: command}
    monkeypatch.setattr(processes, "_command", commands.__getitem__)
    assert processes.is_becoming(Process(20, SUPERVISOR, 5, name)) is becoming
