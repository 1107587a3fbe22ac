"""A writer that knows which of its rows were acknowledged: a client of the drill's own kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pgstead.drills.client import Client, Style
from pgstead.drills.judge import gaps, rows
from pgstead.drills.ledger import Attempt, Work
from pgstead.drills.table import Table
from pgstead.drills.workload import numbering

WRITER = Style("ledger", Work.WRITE, connect_timeout=3.0, pause=0.02)


@dataclass
class Ledger:
    """Inserts one row after the other through `dsn`, and keeps what became of each."""

    dsn: str
    style: Style = WRITER
    client: Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = Client(self.style, [self.dsn], numbering())

    @property
    def _attempts(self) -> tuple[Attempt, ...]:
        return self.client.log().attempts

    @property
    def acknowledged(self) -> list[int]:
        """The ids that were acknowledged."""
        return [each.row for each in self._attempts if each.acknowledged and each.row is not None]

    @property
    def errors(self) -> list[str]:
        """What the writer was told instead."""
        return [each.error for each in self._attempts if each.error]

    @property
    def longest_gap(self) -> float:
        """The longest time in seconds between two acknowledged rows."""
        until = max(each.ended for each in self._attempts if each.acknowledged)
        spans = gaps(self._attempts, self._attempts[0].sent, until)
        return max(end - begin for begin, end in spans)

    def lost(self) -> tuple[int, ...]:
        """Acknowledged rows that are not there."""
        return rows([self.client.log()], Table([self.dsn]).rows()).lost


@contextmanager
def writing(dsn: str, style: Style = WRITER) -> Iterator[Ledger]:
    """A ledger that is written while the block runs; at its end no row may be lost."""
    Table([dsn]).make()
    ledger = Ledger(dsn, style)
    ledger.client.start()
    try:
        yield ledger
    finally:
        ledger.client.end()
        ledger.client.join()
    assert ledger.acknowledged
    assert not ledger.lost()
