"""Break a cluster on purpose, round by round, and judge what it cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from pgstead import spec
from pgstead.drills import asserts, rounds
from pgstead.drills.fault import Fault
from pgstead.drills.faults import ALL
from pgstead.drills.ground import Ground
from pgstead.drills.result import Drilled
from pgstead.drills.verdict import Verdict
from pgstead.engine.aside import Aside
from pgstead.errors import NotReady, PgsteadError, Refused, SpecError
from pgstead.operations import sentinel
from pgstead.operations.drill_ground import make, scene
from pgstead.operations.session import open_session
from pgstead.operations.stopping import Tell, nobody

COMMAND = sentinel.SPARED


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to do: so many `rounds` of each of the `faults`.

    No fault stands for all that can be done. `demands` are the texts of assertions. `patience`
    is in seconds, as `Ground` has it. `really` goes on although the stack is marked as one of
    production.
    """

    faults: tuple[str, ...]
    rounds: int
    demands: tuple[str, ...] = ()
    patience: float = 300.0
    really: bool = False


@dataclass(frozen=True, slots=True)
class Listed:
    """A fault, and why it cannot be done here; None if it can."""

    name: str
    title: str
    refused: str | None


class Watching(Protocol):
    """Who is told how it goes."""

    def round_started(self, fault: str, number: int, rounds: int) -> None:
        """The baseline is being written."""

    def happened(self, what: str) -> None:
        """Something was done to the cluster."""

    def round_ended(self, verdict: Verdict) -> None:
        """It is judged."""


Accept = Callable[[str, Sequence[str], Mapping[str, str]], bool]
"""Whether to break the stack of that name by these faults; the mapping is what is left out."""


def faults(file: Path) -> tuple[Listed, ...]:
    """Every fault there is. Raises `StateError` if the stack never came up."""
    with open_session(file) as session:
        session.must_exist()
        try:
            seen = scene(session)
        except PgsteadError as error:
            return tuple(Listed(each.name, each.title, error.message) for each in ALL.values())
        return tuple(Listed(f.name, f.title, f.refused(seen)) for f in ALL.values())


def drill(
    file: Path, wanted: Wanted, *, accept: Accept, watching: Watching, tell: Tell = nobody
) -> Drilled | None:
    """Hold the rounds; None if the user declined.

    Raises `SpecError` for an unknown fault or an assertion that cannot be understood,
    `Refused` for a production stack, a cluster that is not whole, and a fault that was asked
    for and cannot be done. What ends it once a round has begun is in the result.
    """
    chosen = _named(wanted.faults)
    demands = [asserts.parse(text, [fault.name for fault in chosen]) for text in wanted.demands]
    _check_production(file, really=wanted.really)
    with open_session(file, command=COMMAND) as session:
        ground = make(session, wanted.patience, watching.happened)
        seen = ground.look()
        left_out = {f.name: why for f in chosen if (why := f.refused(seen))}
        able = [fault for fault in chosen if fault.name not in left_out]
        if not able or (wanted.faults and left_out):
            raise Refused(f"this cannot be done here: {_in_words(left_out)}")
        if not accept(session.stack.name, [f.name for f in able], left_out):
            return None
        held = _Rounds(ground, able, wanted.rounds, watching)
        started = datetime.now(UTC)
        held.hold(tell)
        verdicts = tuple(held.verdicts)
        outcomes = tuple(one for each in demands for one in asserts.check(each, verdicts))
        return Drilled(
            session.stack.name,
            session.platform.kind,
            started,
            datetime.now(UTC),
            verdicts,
            outcomes,
            left_out,
            {fault.name: fault.title for fault in able},
            held.broken_off,
        )


@dataclass
class _Rounds:
    """The rounds, one after the other, in a thread that Ctrl-C does not reach into."""

    ground: Ground
    faults: Sequence[Fault]
    rounds: int
    watching: Watching
    verdicts: list[Verdict] = field(default_factory=list)
    broken_off: PgsteadError | None = None

    def hold(self, tell: Tell) -> None:
        """Hold all; on Ctrl-C the one that runs is ended, and what it broke restored."""
        aside = Aside(self._all)
        try:
            aside.wait()
        except KeyboardInterrupt:
            self.ground.stop.set()
            try:
                tell()
            finally:  # a terminal that is gone cannot be told anything
                aside.wait()

    def _all(self) -> None:
        try:
            for fault, number in self._order():
                self._one(fault, number)
        except PgsteadError as error:
            self.broken_off = error

    def _order(self) -> Iterator[tuple[Fault, int]]:
        for fault in self.faults:
            for number in range(1, self.rounds + 1):
                yield fault, number

    def _one(self, fault: Fault, number: int) -> None:
        """Raises `NotReady` after a round that left the cluster in pieces."""
        self.watching.round_started(fault.name, number, self.rounds)
        verdict = rounds.run(self.ground, fault, number)
        self.verdicts.append(verdict)
        self.watching.round_ended(verdict)
        if verdict.problem:
            raise NotReady(
                f"no further round after {fault.name} {number}: {verdict.problem}",
                hint="see `pgstead status` and `pgstead logs`",
            )


def _named(names: Sequence[str]) -> list[Fault]:
    """The faults of those names, all of them for none. Raises `SpecError` for an unknown one."""
    for name in names:
        if name not in ALL:
            raise SpecError(
                f"there is no fault {name!r}", hint=f"there are: {', '.join(sorted(ALL))}"
            )
    return [ALL[name] for name in dict.fromkeys(names)] or list(ALL.values())


def _in_words(left_out: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in left_out.items())


def _check_production(file: Path, *, really: bool) -> None:
    stack = spec.load(file)
    if stack.production and not really:
        raise Refused(
            f"{stack.name} is marked `production: true`, and a drill interrupts its users",
            hint="give --yes-really to drill it all the same",
        )
