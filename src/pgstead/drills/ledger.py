"""What happened in one round, as it was seen: frozen facts, judged by `judge`.

All times are seconds of `time.monotonic`, of the one machine on which the drill runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Work(StrEnum):
    """What a client does."""

    WRITE = "write"
    READ = "read"
    WATCH = "watch"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One statement, or one connection that could not be made.

    `row` is the id that a writer sent, None for others and where nothing was sent. `error` is
    empty if it was acknowledged. `said` is what the server gave: a writer's is the server's
    own address, a watcher's the timeline on which it takes writes, empty for a standby.
    """

    row: int | None
    sent: float
    ended: float
    error: str = ""
    said: str = ""

    @property
    def acknowledged(self) -> bool:
        """Whether the client was told that it is done."""
        return not self.error


@dataclass(frozen=True, slots=True)
class Log:
    """Everything one client tried, in order; a watcher has the name of its machine."""

    client: str
    work: Work
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True)
class Course:
    """When what happened in a round; None where it did not come to that.

    `called` is when the fault began to strike, `struck` when that took effect; `damage` says in
    words what it did.
    """

    called: float
    struck: float
    damage: str
    restored: float | None = None
    whole: float | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """Something that others, e.g. a sentinel, say they did."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Ledger:
    """One round. `problem` says why it did not end as it should; empty if it did.

    `began` and `ended` enclose the writing; `started` is `began` by the calendar. `unaided`
    is whether all writers went on before anything was restored.
    """

    fault: str
    number: int
    started: datetime
    began: float
    ended: float
    course: Course
    logs: tuple[Log, ...]
    heard: tuple[Heard, ...] = ()
    unaided: bool = True
    problem: str = ""

    def of(self, work: Work) -> tuple[Log, ...]:
        """The logs of the clients that do this."""
        return tuple(log for log in self.logs if log.work is work)
