"""One client of a drill: a writer, a reader, or one who watches a member.

A thread of its own each, since a thread waits for its server without anybody's help.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pgstead.drills.ledger import Attempt, Log, Work
from pgstead.drills.table import TABLE
from pgstead.drills.wire import CalledOff, Failed, Patience, Wire, connect

STEADY_GAP = 0.5
"""Seconds without an acknowledgement after which a client does not go on steadily."""

RETRY = 0.05
"""Seconds between two attempts to connect."""

INSERT = f"INSERT INTO {TABLE} VALUES (%d) RETURNING inet_server_addr()"  # noqa: S608 - a constant
READ = f"SELECT count(*) FROM (SELECT FROM {TABLE} LIMIT 1) AS seen"  # noqa: S608 - a constant
WATCH = (
    "SELECT CASE WHEN NOT pg_is_in_recovery()"
    " THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END"
)
"""The timeline, in eight hexadecimal digits, of a server that takes writes (manual, 9.28.3)."""

GRACE = 5.0
"""Seconds in which a statement that was sent may still be answered when the clients end."""


@dataclass(frozen=True, slots=True)
class Style:
    """How a client behaves.

    `reconnects` for each statement, or keeps its connection until it breaks. `timeout` and
    `connect_timeout` are its own limits in seconds for an answer and for a connection; None
    waits for ever, as libpq does unless told otherwise. `pause` is the time in seconds between
    two statements.
    """

    name: str
    work: Work
    reconnects: bool = False
    timeout: float | None = None
    connect_timeout: float | None = None
    pause: float = 0.01


class Client:
    """One client in a thread of its own; `addresses` are libpq URIs, tried one after another."""

    def __init__(
        self, style: Style, addresses: Sequence[str], rows: Iterator[int], *, name: str = ""
    ) -> None:
        self.style = style
        self.name = name or style.name
        self._addresses = itertools.cycle(addresses)
        self._rows = rows
        self._ending = threading.Event()
        self._over = threading.Event()
        self._attempts: list[Attempt] = []
        self._streak = _Streak()
        self._thread = threading.Thread(target=self._run, name=f"drill-{self.name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """Try nothing more; what was sent may still be answered."""
        self._ending.set()

    def join(self, grace: float = GRACE) -> None:
        """Return once nothing is under way; what is not answered by then is given up."""
        self._thread.join(grace)
        self._over.set()
        self._thread.join()

    def forget(self) -> None:
        """Have `steady` count from now."""
        self._streak.begin()

    def steady(self) -> float:
        """For how many seconds, until now, it has been acknowledged without undue gaps."""
        return self._streak.seconds()

    def log(self) -> Log:
        """What it tried so far."""
        return Log(self.name, self.style.work, tuple(self._attempts))

    def _run(self) -> None:
        wire: Wire | None = None
        while not self._ending.is_set():
            wire = self._attempt(wire)
            self._ending.wait(self.style.pause if wire or self.style.reconnects else RETRY)
        if wire:
            wire.close()

    def _attempt(self, wire: Wire | None) -> Wire | None:
        """Try one statement; gives the connection that is left to go on with."""
        sent, row, keep = time.monotonic(), None, not self.style.reconnects
        try:
            wire = wire or self._connect()
            row, statement = self._statement()
            sent = time.monotonic()
            self._note(row, sent, said=wire.rows(statement)[0][0] or "")
        except (Failed, CalledOff) as error:
            keep = False
            if row is not None or isinstance(error, Failed):
                self._note(row, sent, error=error.message)
        if wire and not keep:
            wire.close()
        return wire if keep else None

    def _connect(self) -> Wire:
        """Raises `CalledOff` as soon as the clients end: no row is on its way here."""
        opening = Patience(self.style.connect_timeout, self._ending.is_set)
        answers = Patience(self.style.timeout, self._over.is_set)
        return connect(next(self._addresses), opening, answers)

    def _statement(self) -> tuple[int | None, str]:
        if self.style.work is Work.WRITE:
            row = next(self._rows)
            return row, INSERT % row
        return None, READ if self.style.work is Work.READ else WATCH

    def _note(self, row: int | None, sent: float, *, said: str = "", error: str = "") -> None:
        attempt = Attempt(row, sent, time.monotonic(), error, said)
        self._attempts.append(attempt)
        if attempt.acknowledged:
            self._streak.go_on(attempt.ended)


class _Streak:
    """Acknowledgements without a gap of more than `STEADY_GAP` seconds between two."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.begin()

    def begin(self) -> None:
        with self._lock:
            self._since = self._last = time.monotonic()

    def go_on(self, now: float) -> None:
        with self._lock:
            if now - self._last > STEADY_GAP:
                self._since = now
            self._last = max(now, self._last)

    def seconds(self) -> float:
        with self._lock:
            late = time.monotonic() - self._last > STEADY_GAP
            return 0.0 if late else self._last - self._since
