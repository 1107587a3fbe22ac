"""The course of a round; above all that what was broken is restored, however it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import pytest

from pgstead.drills import rounds
from pgstead.drills.fault import Scene
from pgstead.drills.ground import Ground, Stop
from pgstead.drills.ledger import Log, Work
from pgstead.drills.verdict import Verdict
from pgstead.errors import Interrupted, NotReady, PlatformError
from support.drills import attempts, log


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "LOOKS", (0.001, 0.001))
    monkeypatch.setattr(rounds, "AGAIN", (0.001, 0.001))


SCENE = cast("Scene", None)  # nothing here looks at it


@dataclass
class Told:
    """What happened, in order; the fakes' common memory."""

    events: list[str] = field(default_factory=list)
    broken: bool = False
    writes: Callable[[], bool] = lambda: True
    stop: Stop = field(default_factory=Stop)

    def say(self, what: str) -> None:
        self.events.append(what)

    @contextmanager
    def step(self) -> Iterator[None]:
        self.say("held")
        yield
        self.say("let go")


@dataclass
class FakeTable:
    told: Told
    found: list[int] = field(default_factory=lambda: [1, 2])

    def make(self) -> None:
        self.told.say("made")

    def rows(self) -> list[int]:
        self.told.say("read")
        return self.found

    def drop(self) -> None:
        self.told.say("dropped")


@dataclass
class FakeClients:
    told: Told
    began: float = field(default_factory=time.monotonic)

    def forget(self) -> None:
        self.told.say("forgot")

    def steady(self, work: Work, seconds: float) -> bool:
        return not self.told.broken or self.told.writes()

    def halting(self, work: Work) -> str:
        return "persistent: refused"

    def end(self) -> float:
        self.told.say("ended")
        return time.monotonic()

    def logs(self) -> tuple[Log, ...]:
        return (log(attempts([self.began, self.began])),)


@dataclass
class FakeDamage:
    told: Told
    hold: float = 0.0
    failures: int = 0
    what: str = "broke it"
    at: float = field(default_factory=time.monotonic)

    def restore(self) -> None:
        if self.failures:
            self.failures -= 1
            raise PlatformError("no such machine")
        self.told.say("restored")
        self.told.broken = False


@dataclass
class FakeFault:
    told: Told
    damage: FakeDamage
    error: PlatformError | None = None
    name: str = "broken"
    title: str = "it is broken"

    def refused(self, scene: Scene) -> str | None:
        return None

    def strike(self, scene: Scene) -> FakeDamage:
        if self.error:
            raise self.error
        self.told.say("struck")
        self.told.broken = True
        return self.damage


def run(
    told: Told, *, error: PlatformError | None = None, patience: float = 10.0, **damage: Any
) -> Verdict:
    ground = Ground(
        FakeTable(told),
        lambda: FakeClients(told),
        lambda: SCENE,
        lambda: "",
        told.say,
        told.stop,
        told.step,
        lambda since: [(since + timedelta(seconds=1), "sentinel: powered it off")],
        patience,
    )
    return rounds.run(ground, FakeFault(told, FakeDamage(told, **damage), error), 3)


COURSE = """made
held struck let-go forgot broke-it
held restored let-go
ended read dropped""".replace("-", " ")


def test_a_round_from_beginning_to_end() -> None:
    told = Told()
    verdict = run(told)
    assert " ".join(told.events) == " ".join(COURSE.split())
    assert (verdict.fault, verdict.number, verdict.damage) == ("broken", 3, "broke it")
    assert verdict.sound
    assert verdict.unaided
    assert verdict.whole is not None
    ((heard),) = verdict.heard
    assert heard.text == "sentinel: powered it off"
    assert heard.at == pytest.approx(1.0, abs=0.2)


def test_writes_that_do_not_come_back_are_told_and_it_is_restored() -> None:
    told = Told(writes=lambda: False)
    verdict = run(told, patience=0.05)
    assert "restored" in told.events
    assert not verdict.unaided
    assert any("do not go on by themselves" in what for what in told.events)


def test_a_cluster_that_does_not_become_whole_is_a_problem_of_the_round() -> None:
    told = Told()
    ground = Ground(
        FakeTable(told),
        lambda: FakeClients(told),
        lambda: SCENE,
        lambda: "postgres-2: stopped",
        told.say,
        told.stop,
        patience=0.0,
    )
    verdict = rounds.run(ground, FakeFault(told, FakeDamage(told)), 1)
    assert "postgres-2: stopped" in verdict.problem
    assert verdict.whole is None
    assert verdict.rows is not None
    assert told.events[-1] == "dropped"


def test_ctrl_c_while_it_is_broken_restores_it() -> None:
    def interrupted() -> bool:
        told.stop.set()
        return False

    told = Told(writes=interrupted)
    with pytest.raises(Interrupted, match="what was broken is restored"):
        run(told)
    assert told.events[-4:] == ["restored", "let go", "ended", "dropped"]


def test_ctrl_c_during_a_fault_that_lasts_a_minute_restores_it_at_once() -> None:
    told = Told()
    threading.Timer(0.02, told.stop.set).start()
    began = time.monotonic()
    with pytest.raises(Interrupted):
        run(told, hold=60.0)
    assert time.monotonic() - began < 30
    assert "restored" in told.events


def test_an_error_while_it_is_broken_restores_it() -> None:
    def bad() -> bool:
        raise RuntimeError("a defect")

    told = Told(writes=bad)
    with pytest.raises(RuntimeError, match="a defect"):
        run(told)
    assert told.events[-4:] == ["restored", "let go", "ended", "dropped"]


def test_a_fault_that_could_not_be_done_leaves_nothing_to_restore() -> None:
    told = Told()
    with pytest.raises(PlatformError, match="no way"):
        run(told, error=PlatformError("no way"))
    assert told.events == ["made", "held", "ended", "dropped"]


def test_restoring_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    assert run(told, failures=1).sound
    monkeypatch.setattr(rounds, "RESTORING", 0.0)
    with pytest.raises(NotReady, match=r"broke it.* cannot restore it: no such machine"):
        run(Told(), failures=9)
