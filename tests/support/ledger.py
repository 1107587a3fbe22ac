"""A writer that knows which of its rows were acknowledged."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psycopg

RECONNECT = 0.05
"""Seconds between attempts to connect."""


@dataclass
class Ledger:
    """Inserts one row after the other through `dsn`; keeps the ids that were acknowledged.

    `longest_gap` is the longest time in seconds between two acknowledged rows.
    """

    dsn: str
    acknowledged: list[int] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    longest_gap: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)
    _last: float = 0.0

    def write(self) -> None:
        """Insert until told to stop."""
        number = 0
        self._last = time.monotonic()
        while not self._stop.is_set():
            try:
                with psycopg.connect(self.dsn, autocommit=True, connect_timeout=3) as connection:
                    while not self._stop.is_set():
                        number += 1
                        connection.execute("INSERT INTO ledger VALUES (%s)", (number,))
                        self._acknowledge(number)
                        self._stop.wait(0.002)
            except psycopg.Error as error:
                self.errors.append(str(error).strip())
                self._stop.wait(RECONNECT)

    def _acknowledge(self, number: int) -> None:
        now = time.monotonic()
        self.longest_gap = max(self.longest_gap, now - self._last)
        self._last = now
        self.acknowledged.append(number)

    def stop(self) -> None:
        """Insert no more."""
        self._stop.set()

    def lost(self) -> set[int]:
        """Acknowledged rows that are not there."""
        return set(self.acknowledged) - rows(self.dsn)


def rows(dsn: str) -> set[int]:
    """The rows that are there, once a connection can be made."""
    deadline = time.monotonic() + 60
    while True:
        with (
            suppress(psycopg.OperationalError),
            psycopg.connect(dsn, connect_timeout=3) as connection,
        ):
            return {row[0] for row in connection.execute("SELECT id FROM ledger")}
        assert time.monotonic() < deadline, "nobody answers"
        threading.Event().wait(RECONNECT)


@contextmanager
def writing(dsn: str) -> Iterator[Ledger]:
    """A ledger that is written while the block runs; at its end no row may be lost."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS ledger")
        connection.execute("CREATE TABLE ledger (id bigint PRIMARY KEY)")
    ledger = Ledger(dsn)
    thread = threading.Thread(target=ledger.write, name="ledger")
    thread.start()
    try:
        yield ledger
    finally:
        ledger.stop()
        thread.join(30)
    assert ledger.acknowledged
    assert not ledger.lost()
