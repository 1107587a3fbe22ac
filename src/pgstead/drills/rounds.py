"""The course of one round: baseline, strike, wait for writes, restore, wait until whole.

What was broken is restored however the round ends: by an error, by Ctrl-C, or as it should.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from pgstead.drills.fault import Damage, Fault, Scene
from pgstead.drills.ground import Clients, Ground, Rows
from pgstead.drills.judge import judge
from pgstead.drills.ledger import Course, Heard, Ledger, Work
from pgstead.drills.verdict import Verdict
from pgstead.errors import NotReady, PgsteadError
from pgstead.waiting import wait

BASELINE = 2.0
"""Seconds of undisturbed writing and reading before each strike."""

BASELINE_DEADLINE = 30.0

STEADY = 1.0
"""Seconds without undue gaps for which writes must go on to count as back."""

LOOKS = (0.25, 1.0)
"""Seconds between two looks at whether the cluster is whole: each asks every member."""

RESTORING = 60.0
"""Seconds in which restoring is tried again where it fails."""

AGAIN = (0.5, 5.0)
"""Seconds between two attempts at that."""


@dataclass
class _Notes:
    """What a round writes down while it runs."""

    called: float = 0.0
    struck: float = 0.0
    ended: float = 0.0
    damage: str = ""
    restored: float | None = None
    whole: float | None = None
    unaided: bool = True
    problem: str = ""

    def course(self) -> Course:
        return Course(self.called, self.struck, self.damage, self.restored, self.whole)


def run(ground: Ground, fault: Fault, number: int) -> Verdict:
    """One round of one fault.

    Raises `NotReady` if the cluster or its clients are not well to begin with, or what was
    broken cannot be restored; `Interrupted`; and what the fault raises. What else goes wrong
    after the strike is told by the verdict's `problem`.
    """
    scene = ground.look()
    started, began = datetime.now(UTC), time.monotonic()
    notes = _Notes()
    with _table(ground) as table:
        with _writing(ground, notes) as load:
            _disturb(ground, fault, scene, load, notes)
        found = _found(table, notes)
    ledger = Ledger(
        fault.name,
        number,
        started,
        load.began,
        notes.ended,
        notes.course(),
        load.logs(),
        tuple(
            Heard(began + (at - started).total_seconds(), text)
            for at, text in ground.heard(started)
        ),
        notes.unaided,
        notes.problem,
    )
    return judge(ledger, found)


@contextmanager
def _table(ground: Ground) -> Iterator[Rows]:
    ground.table.make()
    try:
        yield ground.table
    finally:
        ground.table.drop()


@contextmanager
def _writing(ground: Ground, notes: _Notes) -> Iterator[Clients]:
    load = ground.start()
    try:
        yield load
    finally:
        notes.ended = load.end()


def _disturb(ground: Ground, fault: Fault, scene: Scene, load: Clients, notes: _Notes) -> None:
    _await(ground, load, BASELINE, BASELINE_DEADLINE, Work.WRITE, Work.READ)
    with ground.step():
        notes.called = time.monotonic()
        damage = fault.strike(scene)
    try:
        load.forget()
        notes.struck, notes.damage = damage.at, damage.what
        ground.tell(damage.what)
        _endure(ground, damage, load, notes)
    finally:
        _restore(ground, damage)
        notes.restored = time.monotonic()
    try:
        notes.whole = _whole(ground)
        _await(ground, load, STEADY, ground.patience, Work.WRITE, Work.READ)
    except NotReady as error:
        notes.problem = error.message


def _endure(ground: Ground, damage: Damage, load: Clients, notes: _Notes) -> None:
    """Let the damage last for as long as it should, or until all writers go on."""
    if damage.hold:
        ground.stop.pause(max(damage.at + damage.hold - time.monotonic(), 0.0))
        notes.unaided = load.steady(Work.WRITE, STEADY)
        return
    try:
        _await(ground, load, STEADY, ground.patience, Work.WRITE)
    except NotReady as error:
        notes.unaided = False
        ground.tell(f"restoring, since writes do not go on by themselves: {error.message}")


def _await(ground: Ground, load: Clients, steady: float, deadline: float, *works: Work) -> None:
    """Return once all who do this have got on for `steady` seconds. Raises `NotReady`."""
    wait(
        lambda: all(load.steady(work, steady) for work in works),
        deadline=deadline,
        what=f"all clients to {' and '.join(works)} without a gap",
        error=lambda: "; ".join(filter(None, map(load.halting, works))),
        sleep=ground.stop.pause,
    )


def _restore(ground: Ground, damage: Damage) -> None:
    """Undo the damage, in several attempts if need be; Ctrl-C does not end this.

    Raises `PgsteadError` if it cannot be undone.
    """
    unhurried = threading.Event()
    errors: list[PgsteadError] = []

    def attempt() -> bool:
        try:
            with ground.step():
                damage.restore()
        except PgsteadError as error:
            errors.append(error)
            return False
        return True

    def let_pass(seconds: float) -> None:
        unhurried.wait(seconds)

    try:
        wait(attempt, deadline=RESTORING, what="it", interval=AGAIN, sleep=let_pass)
    except NotReady:
        raise NotReady(
            f"the drill {damage.what}, and cannot restore it: {errors[-1].message}",
            hint="it is noted: `pgstead up` tries again to bring it back before all else",
        ) from errors[-1]


def _whole(ground: Ground) -> float:
    """When the cluster was seen to be whole, the first of two times. Raises `NotReady`."""
    since: list[float] = []
    said: list[str] = []

    def look() -> bool:
        said[:] = [ground.trouble()]
        if said[0]:
            since.clear()
        else:
            since.append(time.monotonic())
        return not said[0]

    wait(
        look,
        deadline=ground.patience,
        what="the cluster to be whole",
        error=lambda: said[0],
        successes=2,
        interval=LOOKS,
        sleep=ground.stop.pause,
    )
    return since[0]


def _found(table: Rows, notes: _Notes) -> list[int] | None:
    try:
        return table.rows()
    except NotReady as error:
        notes.problem = notes.problem or f"the rows cannot be read: {error.message}"
        return None
