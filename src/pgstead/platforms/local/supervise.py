"""Run supervisord as what servers need: quick to act, and parent of all that they leave behind.

This file is copied beside a stack's supervisor and run as a script, by the servers' user, who
may not be able to import pgstead: it needs `supervisor` (4.3) alone. It differs in four things.

- It adopts what its services leave behind (prctl(2), PR_SET_CHILD_SUBREAPER). Patroni starts
  PostgreSQL and lets go of it; when that ends, it is a zombie until process 1 looks, which takes
  seconds where that is no init, as in many containers. Meanwhile Patroni takes it for running,
  and nobody else is promoted.
- It wakes up when a child ends. supervisord sleeps for up to a second then, since Python goes on
  with a poll that a signal interrupted (PEP 475).
- Its services read nothing. A PostgreSQL backend whose server was killed while it waited for a
  standby reads its standard input next (`InteractiveBackend`): where that never ends, neither
  does the backend, and no server can start on its data again.
- It ends backends whose server is gone and that do not end by themselves. One that waits for a
  lock of another that was killed waits for ever, one that reckons may do so for hours, and no
  server can start on its data meanwhile ("pre-existing shared memory block is still in use").
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from supervisor import options, supervisord
from supervisor.medusa import asyncore_25

PR_SET_CHILD_SUBREAPER = 36

GRACE = 2.0
"""Seconds in which a backend whose server is gone may end by itself."""

BACKEND = b"postgres: "
"""What the title of each of PostgreSQL's processes begins with, but for the server's own."""


class Alarm:
    """A pipe in the supervisor's loop that every signal writes to, as a dispatcher of its own."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self.writing, warn_on_full_buffer=False)
        asyncore_25.socket_map[self.reading] = self

    def ring(self) -> None:
        """Have the loop turn once more at once."""
        with suppress(BlockingIOError):  # it rings already
            os.write(self.writing, b"\0")

    def readable(self) -> bool:
        """Whether the loop shall wait for it."""
        return True

    def writable(self) -> bool:
        """Whether the loop shall wait until it takes something."""
        return False

    def handle_read_event(self) -> None:
        """Be silent until the next signal."""
        with suppress(BlockingIOError):
            os.read(self.reading, 4096)

    def handle_error(self) -> None:
        """Called by the loop for what the method above raised."""


class Orphans:
    """Backends that were adopted: their parent, the server, is gone."""

    def __init__(self) -> None:
        self.since: dict[int, float] = {}

    def end(self) -> None:
        """Kill those that have been there for too long; ids are theirs until they are reaped."""
        now = time.monotonic()
        self.since = {pid: self.since.get(pid, now) for pid in self._found()}
        for pid, since in self.since.items():
            if now - since > GRACE:
                os.kill(pid, signal.SIGKILL)

    def _found(self) -> list[int]:
        with suppress(OSError):  # the kernel may not tell (CONFIG_PROC_CHILDREN)
            children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
            return [int(pid) for pid in children if self._is_backend(pid)]
        return []

    def _is_backend(self, pid: str) -> bool:
        return Path("/proc", pid, "cmdline").read_bytes().startswith(BACKEND)


class Supervisor(supervisord.Supervisor):  # type: ignore[misc]
    """supervisord's own, which adopts and is woken."""

    def runforever(self) -> None:
        """Called once it is the process that it stays."""
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.alarm, self.orphans = Alarm(), Orphans()
        super().runforever()

    def tick(self, now: float | None = None) -> None:
        """Called by the loop, once a second at least."""
        super().tick(now)
        self.orphans.end()

    def reap(self, once: bool = False, recursionguard: int = 0) -> None:  # noqa: FBT001, FBT002
        """What has ended is started again by the loop's next turn: let that come at once."""
        running = len(self.options.pidhistory)
        super().reap(once, recursionguard)
        if len(self.options.pidhistory) != running:
            self.alarm.ring()


class Program(options.ProcessConfig):  # type: ignore[misc]
    """A service whose standard input is empty."""

    def make_dispatchers(self, process: Any) -> tuple[dict[int, Any], dict[str, int | None]]:
        """supervisord's, without the pipe to standard input."""
        dispatchers, pipes = super().make_dispatchers(process)
        del dispatchers[pipes["stdin"]]
        for name in ("stdin", "child_stdin"):
            os.close(pipes[name])
        pipes["stdin"], pipes["child_stdin"] = None, os.open(os.devnull, os.O_RDONLY)
        return dispatchers, pipes


if __name__ == "__main__":
    supervisord.Supervisor, options.ProcessConfig = Supervisor, Program
    supervisord.main()
