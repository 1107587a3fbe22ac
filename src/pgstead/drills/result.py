"""What a drill gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pgstead.drills.asserts import Outcome
from pgstead.drills.verdict import Verdict
from pgstead.errors import PgsteadError


@dataclass(frozen=True, slots=True)
class Drilled:
    """A drill. `left_out` says of faults why they cannot be done here.

    `broken_off` is what ended it before its last round, None if nothing did.
    """

    stack: str
    platform: str
    started: datetime
    ended: datetime
    verdicts: tuple[Verdict, ...]
    outcomes: tuple[Outcome, ...]
    left_out: Mapping[str, str]
    titles: Mapping[str, str]
    broken_off: PgsteadError | None = None

    @property
    def passed(self) -> bool:
        """Whether every round was sound, and every assertion holds."""
        sound = all(verdict.sound for verdict in self.verdicts) and self.broken_off is None
        return sound and all(outcome.holds for outcome in self.outcomes)
