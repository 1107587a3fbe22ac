"""The processes of a stack's machines, as the kernel tells of them (proc(5)).

A process belongs to a machine if its environment carries the machine's mark, or if it
descends from one that does. PostgreSQL's processes write their titles over the memory
that /proc shows as their environment; they are known by their program and by working
inside the machine's folder.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pgstead import procfs

MACHINE_MARK = "PGSTEAD_MACHINE"
SERVICE_MARK = "PGSTEAD_SERVICE"

_PROC = Path("/proc")
WAITING_FOR_LOCK = "flock"
BEFORE_THE_SERVER = ("sh", "env", WAITING_FOR_LOCK)
"""What a service's process is called, one after the other, before it is the server."""

_DEAD = ("Z", "X")
_STOPPED = ("T", "t")
_HELD = "D"


@dataclass(frozen=True, slots=True)
class Process:
    """A process. `started`, in clock ticks since the boot, tells it from a later one of its id."""

    pid: int
    parent: int
    started: int
    name: str
    machine: str = ""
    service: str = ""
    state: str = "S"

    @property
    def identity(self) -> str:
        """Differs for any two processes since the system started."""
        return f"{self.pid}:{self.started}"


def of_stack(stack_id: str, machines: Path, uid: int) -> list[Process]:
    """All processes of the stack's machines; `machines` is the folder that holds theirs."""
    own = [_marked(one, stack_id, machines) for one in _all(uid)]
    known = {one.pid: one for one in own if one.machine}
    unknown = [one for one in own if not one.machine]
    while True:  # children of children, until no more are found
        found = [_child(one, known[one.parent]) for one in unknown if one.parent in known]
        known.update({one.pid: one for one in found})
        unknown = [one for one in unknown if one.pid not in known]
        if not found:
            return sorted(known.values(), key=lambda one: (one.started, one.pid))


def find(pid: int) -> Process | None:
    """The process of that id, if it lives."""
    found = procfs.stat(pid)
    if found is None or found.state in _DEAD:
        return None
    return Process(pid, found.parent, found.started, found.name, state=found.state)


def alive(process: Process) -> bool:
    """Whether that very process still lives."""
    now = find(process.pid)
    return now is not None and now.started == process.started


def is_becoming(process: Process) -> bool:
    """Whether it is a server's process that is not the server yet.

    It is still the copy of its parent that fork(2) made, or one of the programs before the server.
    """
    command = _command(process.pid)
    return process.name in BEFORE_THE_SERVER or command == _command(process.parent) != b""


def is_frozen(process: Process) -> bool:
    """Whether it was stopped by a signal, as `process` tells of it."""
    return process.state in _STOPPED


def is_held(process: Process) -> bool:
    """Whether the kernel had it wait, as a rule for a disk: no signal stops it meanwhile."""
    return process.state == _HELD


def catches(process: Process, number: int) -> bool:
    """Whether the signal would be heard: a program that starts up misses it, or dies of it."""
    with suppress(OSError):
        status = (_PROC / str(process.pid) / "status").read_text()
        caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
        return bool(int(caught.split()[1], 16) >> (number - 1) & 1)
    return False


def started_at(process: Process) -> float:
    """When it started, in seconds since the epoch, up to a hundredth late or early."""
    return time.time() - procfs.age(process.started)


def send(process: Process, number: int) -> None:
    """Send a signal to that very process; one that is gone is no error."""
    with suppress(ProcessLookupError):
        handle = os.pidfd_open(process.pid)
        try:
            if alive(process):
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)


def holders(lock: Path, among: Iterable[Process]) -> list[Process]:
    """Those that hold the lock, without those that one of the others started.

    One that still waits for it has the file open as well, and is none. It may have got it,
    become the server and started a child while all processes were being looked at: so a
    child is known by any parent among them, whatever that was called when it was seen.
    """
    everyone = list(among)
    pids = {one.pid for one in everyone}
    mains = (one for one in everyone if one.name != WAITING_FOR_LOCK and one.parent not in pids)
    target = str(lock)
    return [one for one in mains if target in _open_files(one.pid)]


def holds_socket(processes: Iterable[Process], inodes: frozenset[int]) -> bool:
    """Whether one of them has one of those sockets open."""
    names = {f"socket:[{inode}]" for inode in inodes}
    return any(names & set(_open_files(one.pid)) for one in processes)


def open_sockets(processes: Iterable[Process]) -> frozenset[int]:
    """The inodes of all sockets that they have open."""
    names = (name for one in processes for name in _open_files(one.pid))
    return frozenset(int(name[8:-1]) for name in names if name.startswith("socket:["))


def socket_holder(inodes: frozenset[int]) -> Process | None:
    """Who has one of those sockets open, as far as we may see."""
    for pid in _pids():
        process = find(pid)
        if process and holds_socket([process], inodes):
            return process
    return None


def _all(uid: int) -> Iterator[Process]:
    for pid in _pids():
        with suppress(OSError):
            if os.stat(f"/proc/{pid}").st_uid == uid:  # noqa: PTH116 - hundreds of times
                process = find(pid)
                if process:
                    yield process


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208


def _marked(process: Process, stack_id: str, machines: Path) -> Process:
    environment = _environment(process.pid)
    stack, _, machine = environment.get(MACHINE_MARK, "").partition("/")
    if stack == stack_id and machine:
        return _belonging(process, machine, environment.get(SERVICE_MARK, ""))
    if process.name == "postgres":
        return _belonging(process, _machine_of_postgres(process.pid, machines), "")
    return process


def _belonging(process: Process, machine: str, service: str) -> Process:
    return replace(process, machine=machine, service=service)


def _child(process: Process, parent: Process) -> Process:
    return _belonging(process, parent.machine, parent.service)


def _command(pid: int) -> bytes:
    with suppress(OSError):
        return (_PROC / str(pid) / "cmdline").read_bytes()
    return b""


def _environment(pid: int) -> dict[str, str]:
    try:
        content = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return {}
    pairs = (entry.partition(b"=") for entry in content.split(b"\0"))
    wanted = (MACHINE_MARK.encode(), SERVICE_MARK.encode())
    return {
        key.decode(): value.decode(errors="replace") for key, _, value in pairs if key in wanted
    }


def _machine_of_postgres(pid: int, machines: Path) -> str:
    """The machine whose folder a PostgreSQL process works in; empty if in none."""
    with suppress(OSError):
        program = os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")  # noqa: PTH115
        folder = Path(os.readlink(f"/proc/{pid}/cwd"))  # noqa: PTH115
        if os.path.basename(program) == "postgres" and folder.is_relative_to(machines):  # noqa: PTH119
            inside = folder.relative_to(machines).parts
            return inside[0] if inside else ""
    return ""


def _open_files(pid: int) -> list[str]:
    names = []
    with suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                names.append(os.readlink(entry.path))  # noqa: PTH115
    return names
