"""Rounds that never took place: ledgers written by hand, and the verdicts on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from pgstead.drills.judge import judge
from pgstead.drills.ledger import Attempt, Course, Ledger, Log, Work
from pgstead.drills.verdict import Verdict

BEGAN, STRUCK, ENDED = 98.0, 100.0, 110.0
STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def attempts(
    moments: Iterable[float], *, first: int = 1, error: str = "", said: str = ""
) -> list[Attempt]:
    """One row each, that was sent and answered at once."""
    return [Attempt(first + n, at, at, error, said) for n, at in enumerate(moments)]


def every(seconds: float, begin: float, end: float) -> list[float]:
    """Moments from `begin` to before `end`."""
    return [begin + n * seconds for n in range(round((end - begin) / seconds))]


def log(tried: Iterable[Attempt], client: str = "persistent", work: Work = Work.WRITE) -> Log:
    """What one client tried."""
    return Log(client, work, tuple(tried))


def ledger(*logs: Log, **others: Any) -> Ledger:
    """A round that was struck at `STRUCK`, two seconds after it began."""
    course = Course(STRUCK, STRUCK, "cut the power of postgres-1", STRUCK + 5, STRUCK + 8)
    given: dict[str, Any] = {"fault": "leader-dead", "number": 1, "course": course, **others}
    return Ledger(started=STARTED, began=BEGAN, ended=ENDED, logs=logs, **given)


def verdict(
    outage: float = 0.0, *, number: int = 1, found: Sequence[int] | None = (), **others: Any
) -> Verdict:
    """A round in which the only writer was kept waiting for that long; its rows are all there.

    `found` are ids that are there besides; None if none can be read.
    """
    moments = [*every(0.05, BEGAN, STRUCK), *every(0.05, STRUCK - 0.05 + outage, ENDED)]
    tried = attempts(moments)
    ids = None if found is None else [*(each.row or 0 for each in tried), *found]
    return judge(ledger(log(tried), number=number, **others), ids)
