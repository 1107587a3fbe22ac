"""Applying a plan on the memory platform, interrupted at every point."""

import threading
from collections.abc import Collection, Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgstead.engine.apply import Run, apply
from pgstead.engine.compare import make_plan
from pgstead.engine.plan import Action, Change
from pgstead.engine.resource import Attribute, Recorded, Resource, Steps
from pgstead.errors import PgsteadError, Refused
from pgstead.machine import OnChange
from pgstead.platforms.memory import MemoryProvider, World


class Killed(BaseException):
    """Stands in for SIGKILL: nothing catches it."""


class Journal:
    """The state, in memory; kills the process at the given write."""

    def __init__(self, *, kill_at: int | None = None) -> None:
        self.known: dict[str, Recorded] = {}
        self.kill_at = kill_at
        self.writes = 0
        self.lock = threading.Lock()

    def _write(self) -> None:
        with self.lock:
            self.writes += 1
            if self.kill_at is not None and self.writes >= self.kill_at:
                raise Killed

    def record(self, recorded: Recorded) -> None:
        self._write()
        self.known[recorded.address] = recorded

    def forget(self, address: str) -> None:
        self._write()
        self.known.pop(address, None)

    def step_started(self, resource: str, title: str) -> int:
        self._write()
        return 0

    def step_ended(self, step: int, error: str | None = None) -> None:
        self._write()


class Watcher:
    def __init__(self) -> None:
        self.order: list[str] = []

    def change_started(self, change: Change) -> None:
        self.order.append(change.address)

    def step_started(self, change: Change, title: str) -> None: ...

    def change_ended(self, change: Change, error: PgsteadError | None) -> None: ...

    def stopping(self) -> None:
        self.order.append("stopping")


def targets(desired: Collection[Resource], journal: Journal) -> dict[str, Resource | Recorded]:
    return {**journal.known, **{resource.address: resource for resource in desired}}


def run(desired: Collection[Resource], world: World, journal: Journal) -> Watcher:
    provider, watcher = MemoryProvider(world), Watcher()
    plan = make_plan(desired, journal.known, provider.observe(targets(desired, journal)))
    apply(plan, Run({"machine": provider, "etcd": provider}, journal, watcher))
    return watcher


def stack(size: int = 2, value: str = "1") -> list[Resource]:
    names = [f"machine.m{index}" for index in range(size)]
    attributes = {
        "file": Attribute(value, OnChange.RELOAD, "file"),
        "service": Attribute(value, OnChange.RESTART, "service"),
    }
    machines = [Resource(name, "machine", attributes, holds_data=True) for name in names]
    cluster = Resource(
        "etcd.main", "etcd", {"users": Attribute(value, OnChange.RELOAD, "users")}, tuple(names)
    )
    return [*machines, cluster]


def converged(desired: Collection[Resource], world: World, journal: Journal) -> bool:
    there = {a: world.get(a) for a in world.addresses if not a.startswith("data.")}
    known = {a: r.values for a, r in journal.known.items() if r.status == "ready"}
    return there == known == {r.address: r.values for r in desired}


def test_what_is_made_is_there_and_recorded_in_order() -> None:
    world, journal = World(), Journal()
    watcher = run(stack(), world, journal)
    assert converged(stack(), world, journal)
    assert watcher.order[-1] == "etcd.main"
    assert not run(stack(), world, journal).order


def scenarios() -> Mapping[str, tuple[list[Resource], list[Resource]]]:
    return {
        "up": ([], stack()),
        "change": (stack(), stack(value="2")),
        "grow": (stack(), stack(3)),
        "shrink": (stack(3), stack()),
        "destroy": (stack(), []),
    }


@pytest.mark.parametrize("name", scenarios())
def test_killed_at_any_write_a_rerun_ends_in_the_same_place(name: str) -> None:
    before, after = scenarios()[name]
    kill_at = 0
    while True:
        kill_at += 1
        world, journal = World(), Journal()
        run(before, world, journal)
        journal.kill_at = journal.writes + kill_at
        try:
            run(after, world, journal)
        except Killed:
            journal.kill_at = None
            run(after, world, journal)
            assert converged(after, world, journal)
        else:
            break
    assert kill_at > 5


def test_a_plan_with_a_refusal_changes_nothing() -> None:
    world, journal = World(), Journal()
    server = replace(stack()[0], only_copy=True)
    run([server], world, journal)
    world.put(server.address, None)
    with pytest.raises(Refused, match="only copy"):
        run([server, stack()[1]], world, journal)
    assert not world.addresses


def test_data_stays_when_a_machine_goes() -> None:
    world, journal = World(), Journal()
    run(stack(), world, journal)
    run([], world, journal)
    assert world.addresses == {"data.machine.m0", "data.machine.m1"}


def test_one_disruption_at_a_time() -> None:
    world, journal = World(), Journal()
    run(stack(5), world, journal)
    disturbed, most, lock = 0, 0, threading.Lock()

    class Counting(MemoryProvider):
        def update(self, resource: Resource, changed: Mapping[str, OnChange]) -> Steps:
            nonlocal disturbed, most
            with lock:
                disturbed += 1
                most = max(most, disturbed)
            threading.Event().wait(0.01)  # time for another one to come in between
            yield from super().update(resource, changed)
            with lock:
                disturbed -= 1

    desired = stack(5, value="2")
    provider = Counting(world)
    plan = make_plan(desired, journal.known, provider.observe({r.address: r for r in desired}))
    apply(plan, Run({"machine": provider, "etcd": provider}, journal, Watcher()))
    assert most == 1


sizes = st.integers(min_value=0, max_value=4)


@given(before=sizes, after=sizes, change=st.booleans(), gone=st.sets(st.integers(0, 3)))
def test_no_plan_deletes_data_or_disturbs_two_unasked(
    *, before: int, after: int, change: bool, gone: set[int]
) -> None:
    world, journal = World(), Journal()
    old, new = stack(before), stack(after, "2" if change else "1")
    run(old, world, journal)
    for index in gone:
        world.put(f"machine.m{index}", None)
    provider = MemoryProvider(world)
    plan = make_plan(new, journal.known, provider.observe(targets(new, journal)))
    wanted = {resource.address for resource in new}
    for item in plan.changes:
        if item.action in (Action.DELETE, Action.FORGET):
            assert item.address not in wanted
        if item.action is Action.UPDATE and item.effect.severity >= OnChange.RESTART.severity:
            assert item.exclusive
    data = [a for a in world.addresses if journal.known.get(a) and journal.known[a].holds_data]
    run(new, world, journal)
    assert converged(new, world, journal)
    for address in data:
        assert address in world.addresses or f"data.{address}" in world.addresses


def test_a_failure_stops_the_others_at_the_end_of_their_step() -> None:
    world, journal = World(), Journal()
    meeting = threading.Barrier(2)

    class Failing(MemoryProvider):
        def create(self, resource: Resource, *, recorded: Recorded | None) -> Steps:
            first, second = super().create(resource, recorded=recorded)

            def run_first() -> None:
                meeting.wait(10)
                if resource.address == "machine.m1":
                    raise PgsteadError("no space left")
                assert failed.wait(10)
                first.run()

            yield replace(first, run=run_first)
            yield second

    failed = threading.Event()

    class Noticing(Watcher):
        def change_ended(self, change: Change, error: PgsteadError | None) -> None:
            if change.address == "machine.m1":
                failed.set()

    providers = {"machine": Failing(world), "etcd": MemoryProvider(world)}
    plan = make_plan(stack(), {}, {})
    with pytest.raises(PgsteadError, match="no space left") as caught:
        apply(plan, Run(providers, journal, Noticing()))
    assert caught.value.__notes__ == ["machine.m1"]
    assert world.get("machine.m0") != stack()[0].values
    assert {one.status for one in journal.known.values()} == {"creating"}
    run(stack(), world, journal)
    assert converged(stack(), world, journal)
