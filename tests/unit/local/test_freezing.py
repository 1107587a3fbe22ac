"""A machine stands still although the kernel lets one of its processes take no signal."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

import psutil
import pytest

from pgstead.platforms.local import processes
from pgstead.platforms.local.power import freeze, thaw
from pgstead.platforms.local.processes import Process
from pgstead.platforms.local.services import Services
from pgstead.waiting import wait

CLONE = {"x86_64": 56, "aarch64": 220}.get(platform.machine())
"""The number of clone(2), by which a process waits in the kernel for a child of its own."""

PARENT = f"""
import ctypes, signal, sys
CLONE_VFORK = 0x4000
print(flush=True)
if not ctypes.CDLL(None).syscall({CLONE}, CLONE_VFORK | signal.SIGCHLD, 0, 0, 0, 0):
    sys.stdin.readline()
    import os
    os._exit(0)
while True:
    signal.pause()
"""


@dataclass(frozen=True)
class Two:
    """A machine of two processes: the child, and the parent that waits for it."""

    parent: int

    card = SimpleNamespace(machine="two")

    def mine(self) -> list[Process]:
        pids = [self.parent, *(one.pid for one in psutil.Process(self.parent).children())]
        return [found for pid in pids if (found := processes.find(pid))]

    def states(self) -> str:
        return "".join(one.state for one in self.mine())


@pytest.fixture
def two() -> Iterator[tuple[Two, subprocess.Popen[bytes]]]:
    words = [sys.executable, "-c", PARENT]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        machine = Two(process.pid)
        try:
            wait(lambda: machine.states() == "DS", deadline=60, what="one to be held")
            yield machine, process
        finally:
            for one in machine.mine():
                os.kill(one.pid, 9)


@pytest.mark.skipif(CLONE is None, reason="the number of clone(2) is not known here")
def test_one_that_waits_for_a_child_that_stands_still_does_so_too(
    two: tuple[Two, subprocess.Popen[bytes]],
) -> None:
    machine, process = two
    services = cast("Services", machine)
    freeze(services)
    assert machine.states() == "DT"
    thaw(services)
    assert process.stdin
    process.stdin.write(b"\n")  # the child goes on, and ends
    process.stdin.flush()
    wait(lambda: machine.states() == "S", deadline=60, what="the parent to go on, and not to stop")
