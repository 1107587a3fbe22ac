"""What the kernel tells of one process in /proc/PID/stat (proc(5))."""

from __future__ import annotations

import os
import time
from typing import NamedTuple

__all__ = ["Stat", "age", "stat"]


class Stat(NamedTuple):
    """Of a process: its program, state and parent, and `started`, in clock ticks since the boot."""

    name: str
    state: str
    parent: int
    started: int


def stat(pid: int | str) -> Stat | None:
    """What is said of the process of that id, or of "self"; None if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", errors="replace") as file:  # noqa: PTH123 - hundreds of times
            text = file.read()
    except OSError:
        return None
    name, _, rest = text.partition("(")[2].rpartition(")")  # a name may hold anything
    fields = rest.split()
    return Stat(name, fields[0], int(fields[1]), int(fields[19]))


def age(started: int) -> float:
    """Seconds since the tick of a process's start, up to a hundredth off."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK")
