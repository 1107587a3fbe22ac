"""What a round cost: frozen, told by `judge`, counted by `series`, shown by `report`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pgstead.drills.ledger import Heard, Work

STEP = 0.1
"""Seconds of each count in a `Pulse`."""

Span = tuple[float, float]
"""From and to, in seconds since the fault began to strike."""


@dataclass(frozen=True, slots=True)
class ClientVerdict:
    """How one client fared.

    `longest_gap` is the longest time in seconds between two acknowledgements from the strike
    on; `outages` are those gaps that count, and `errors` counts what it was told.
    """

    client: str
    work: Work
    acknowledged: int
    longest_gap: float
    outages: tuple[Span, ...]
    errors: tuple[tuple[str, int], ...]

    @property
    def outage(self) -> float:
        """The longest one in seconds, 0 if there was none."""
        return max((end - begin for begin, end in self.outages), default=0.0)


@dataclass(frozen=True, slots=True)
class RowsVerdict:
    """What became of the rows; each tuple holds ids, in order.

    `lost` were acknowledged and are not there; `ghosts` are there and were not acknowledged;
    `duplicates` are there more than once.
    """

    acknowledged: int
    found: int
    lost: tuple[int, ...]
    ghosts: tuple[int, ...]
    duplicates: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Promotion:
    """A member that was seen to take writes from then on; `at` counts as a `Span` does."""

    at: float
    machine: str
    timeline: int


@dataclass(frozen=True, slots=True)
class Pulse:
    """Acknowledgements of all clients together in each `STEP`; `begin` counts as a `Span` does."""

    begin: float
    writes: tuple[int, ...]
    reads: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One round, judged. Seconds count from when the fault began to strike.

    `rows` is None where they could not be read in the end. `whole` is None where the cluster
    did not come to be whole. `timelines` is empty where no member let itself be watched. `turns`
    is how often writes were acknowledged by another server than the one before. `heard` is
    counted from the strike as well.
    """

    fault: str
    number: int
    started: datetime
    damage: str
    struck: float
    restored: float | None
    whole: float | None
    unaided: bool
    clients: tuple[ClientVerdict, ...]
    rows: RowsVerdict | None
    promotions: tuple[Promotion, ...]
    timelines: tuple[int, ...]
    turns: int
    heard: tuple[Heard, ...]
    pulse: Pulse
    problem: str

    @property
    def write_outage(self) -> float:
        """The longest outage of any writer, in seconds."""
        return self._longest(Work.WRITE)

    @property
    def read_outage(self) -> float | None:
        """The longest outage of any reader, in seconds; None if nobody read."""
        return self._longest(Work.READ) if any(c.work is Work.READ for c in self.clients) else None

    @property
    def timeline_changes(self) -> int | None:
        """How many new timelines began; None if that is not known."""
        return len(self.timelines) - 1 if self.timelines else None

    @property
    def rivals(self) -> bool:
        """Whether two servers took writes at the same time: more turns than promotions."""
        return bool(self.timelines) and self.turns > len(self.promotions)

    @property
    def sound(self) -> bool:
        """Whether nothing was lost or doubled, one leader led, and all ended as it should."""
        kept = self.rows is not None and not self.rows.lost and not self.rows.duplicates
        return kept and not self.rivals and not self.problem

    def _longest(self, work: Work) -> float:
        return max((c.outage for c in self.clients if c.work is work), default=0.0)
