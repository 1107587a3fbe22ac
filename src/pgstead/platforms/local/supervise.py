"""Run supervisord as what servers need: quick to act, and parent of all that they leave behind.

This file is copied beside a stack's supervisor and run as a script, by the servers' user, who
may not be able to import pgstead: it needs `supervisor` (4.3) alone. It differs in three things.

- It adopts what its services leave behind (prctl(2), PR_SET_CHILD_SUBREAPER). Patroni starts
  PostgreSQL and lets go of it; when that ends, it is a zombie until process 1 looks, which takes
  seconds where that is no init, as in many containers. Meanwhile Patroni takes it for running,
  and nobody else is promoted.
- It wakes up when a child ends. supervisord sleeps for up to a second then, since Python goes on
  with a poll that a signal interrupted (PEP 475).
- Its services read nothing. A PostgreSQL backend whose server was killed while it waited for a
  standby reads its standard input next (`InteractiveBackend`): where that never ends, neither
  does the backend, and no server can start on its data again.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from typing import Any

from supervisor import options, supervisord
from supervisor.medusa import asyncore_25

PR_SET_CHILD_SUBREAPER = 36


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


class Supervisor(supervisord.Supervisor):  # type: ignore[misc]
    """supervisord's own, which adopts and is woken."""

    def runforever(self) -> None:
        """Called once it is the process that it stays."""
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.alarm = Alarm()
        super().runforever()

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
