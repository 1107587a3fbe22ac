"""Sees, from the side, when a stack that is being made takes its first write."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pgstead.clusters.postgres import KIND as POSTGRES
from pgstead.connection import Connection
from pgstead.engine.apply import Progress
from pgstead.engine.plan import Action, Change
from pgstead.errors import NotReady, PgsteadError
from pgstead.waiting import wait

SECONDS = 120.0
"""Until a stack that was just made must take a write."""

PAUSE = 0.02
"""Seconds between two attempts."""

WRITE = "SELECT pg_logical_emit_message(true, 'pgstead', 'accepts writes')"
"""Writes and commits a WAL record, and leaves nothing behind that anybody would see."""


class FirstWrite:
    """Tries to write, as a stack's users would, from when it is told to until it succeeds.

    `began` is what seconds are counted from, by `time.monotonic`.
    """

    def __init__(self, connection: Connection, began: float) -> None:
        self._uri = connection.uri()
        self._began = began
        self._stop = threading.Event()
        self._why = "nothing was tried yet"
        self._thread = threading.Thread(target=self._watch, name="first-write", daemon=True)
        self.seconds: float | None = None

    @contextmanager
    def trying(self) -> Iterator[None]:
        """Nothing is tried any more at the end of the block."""
        try:
            yield
        finally:
            self._stop.set()

    def begin(self) -> None:
        """Try from now on; does not wait. What began already goes on."""
        if not self._thread.is_alive() and self.seconds is None:
            self._thread.start()

    def wait(self) -> float:
        """Seconds from the beginning to the write. Raises `NotReady`."""
        self.begin()
        try:
            return wait(lambda: self.seconds, deadline=SECONDS, what="the first write")
        except NotReady as error:
            raise NotReady(f"{error.message}: {self._why}", hint=error.hint) from None

    def _watch(self) -> None:
        while not self._stop.is_set() and not self._try():
            self._stop.wait(PAUSE)

    def _try(self) -> bool:
        import psycopg  # noqa: PLC0415 - nothing else on the way here needs it

        try:
            with psycopg.connect(self._uri, autocommit=True, connect_timeout=3) as connection:
                connection.execute(WRITE)
        except psycopg.Error as error:
            self._why = str(error).strip()
            return False
        self.seconds = time.monotonic() - self._began
        return True


@dataclass(frozen=True)
class Witness:
    """Watches an apply, and has the first write tried once roles and databases are made.

    Earlier attempts would only take time from those who make the stack.
    """

    progress: Progress
    first: FirstWrite

    def change_started(self, change: Change) -> None:
        """Implements `Progress`."""
        self.progress.change_started(change)

    def step_started(self, change: Change, title: str) -> None:
        """Implements `Progress`."""
        self.progress.step_started(change, title)

    def change_ended(self, change: Change, error: PgsteadError | None) -> None:
        """Implements `Progress`."""
        if error is None and is_awaited(change):
            self.first.begin()
        self.progress.change_ended(change, error)

    def stopping(self) -> None:
        """Implements `Progress`."""
        self.progress.stopping()


def is_awaited(change: Change) -> bool:
    """Whether a PostgreSQL takes its first write after this change."""
    return change.kind == POSTGRES and change.action is Action.CREATE
