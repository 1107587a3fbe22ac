"""Ctrl-C while a plan is applied."""

import signal
import threading
import time
from collections.abc import Iterator

import pytest

from pgstead.engine.apply import Run, apply
from pgstead.engine.compare import make_plan
from pgstead.engine.plan import Change
from pgstead.engine.resource import Attribute, Recorded, Resource, Step, Steps
from pgstead.errors import Interrupted, NotReady, PgsteadError
from pgstead.machine import OnChange
from pgstead.platforms.memory import MemoryProvider, World
from pgstead.waiting import interruption, wait

NAMES = ("machine.a", "machine.b")
RESOURCES = [Resource(name, "machine", {"x": Attribute(1, OnChange.RELOAD, "x")}) for name in NAMES]


class Journal:
    """What was begun and what was not ended."""

    def __init__(self) -> None:
        self.statuses: dict[str, str] = {}
        self.errors: list[str | None] = []

    def record(self, recorded: Recorded) -> None:
        self.statuses[recorded.address] = recorded.status

    def forget(self, address: str) -> None: ...

    def step_started(self, resource: str, title: str) -> int:
        return 0

    def step_ended(self, step: int, error: str | None = None) -> None:
        self.errors.append(error)


class Watcher:
    """Interrupts the main thread once all changes are under way."""

    def __init__(self) -> None:
        self.stopped = False
        self.all_begun = threading.Barrier(len(NAMES), action=interrupt)

    def change_started(self, change: Change) -> None: ...

    def step_started(self, change: Change, title: str) -> None:
        self.all_begun.wait(10)

    def change_ended(self, change: Change, error: PgsteadError | None) -> None: ...

    def stopping(self) -> None:
        self.stopped = True


def interrupt() -> None:
    ident = threading.main_thread().ident
    assert ident
    signal.pthread_kill(ident, signal.SIGINT)


class Waiting(MemoryProvider):
    """Its first step waits for what never comes."""

    def create(self, resource: Resource, *, recorded: Recorded | None) -> Steps:
        yield Step("wait", lambda: wait(lambda: None, deadline=60, what="what never comes"))
        yield from super().create(resource, recorded=recorded)


@pytest.fixture(autouse=True)
def default_handler() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_every_wait_ends_and_nothing_else_begins() -> None:
    journal, watcher, world = Journal(), Watcher(), World()
    plan = make_plan(RESOURCES, {}, {})
    began = time.monotonic()
    with pytest.raises(Interrupted, match="what was done is recorded"):
        apply(plan, Run({"machine": Waiting(world)}, journal, watcher))
    assert time.monotonic() - began < 5
    assert watcher.stopped
    assert journal.statuses == dict.fromkeys(NAMES, "creating")
    assert journal.errors == ["stopped; what was done is recorded"] * 2
    assert not world.addresses
    assert not interruption.is_set()


def test_a_wait_ends_at_its_next_pause() -> None:
    interruption.set()
    try:
        assert wait(lambda: 7, deadline=60, what="what is there") == 7
        with pytest.raises(Interrupted):
            wait(lambda: None, deadline=60, what="what never comes")
    finally:
        interruption.clear()
    with pytest.raises(NotReady):
        wait(lambda: None, deadline=0, what="what never comes")
