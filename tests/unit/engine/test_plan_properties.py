"""What holds of any plan and its application, however often it is interrupted."""

import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from pgstead.engine.apply import Run, apply
from pgstead.engine.compare import make_plan
from pgstead.engine.plan import Action, Change, Plan
from pgstead.engine.resource import (
    Attribute,
    Data,
    Observed,
    Present,
    Recorded,
    Resource,
    Step,
    Steps,
    Value,
)
from pgstead.errors import PgsteadError
from pgstead.machine import OnChange

CLUSTER = "etcd.main"
SERVICE = "running:server"
EFFECTS = {
    "reloaded": OnChange.RELOAD,
    "restarted": OnChange.RESTART,
    "image": OnChange.REPLACE,
}


class Killed(BaseException):
    """Stands in for SIGKILL: nothing catches it."""


@dataclass
class Server:
    """A machine: what lies in its files, and what its server read of them."""

    files: dict[str, Value]
    effective: dict[str, Value]
    running: bool = True
    data: str = "precious"


@dataclass
class Ground:
    """Machines that take a change in two steps: in place, then in effect.

    `left` counts the points at which the process may still live on.
    """

    servers: dict[str, Server] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    left: int | None = None
    disturbed: set[str] = field(default_factory=set)
    most_disturbed: int = 0
    guard: threading.Lock = field(default_factory=threading.Lock)

    def point(self) -> None:
        with self.guard:
            if self.left is not None:
                self.left -= 1
                if self.left < 0:
                    raise Killed

    def observe(self, targets: Mapping[str, Resource | Recorded]) -> dict[str, Observed]:
        return {address: self._look(address) for address in targets}

    def _look(self, address: str) -> Observed:
        server = self.servers.get(address)
        if server is None:
            return None
        return Present({**server.files, SERVICE: "running" if server.running else "stopped"})

    def create(self, resource: Resource, *, recorded: Recorded | None) -> Steps:
        yield Step("lay down", partial(self._lay_down, resource))
        yield Step("start", partial(self._start, resource.address))

    def _lay_down(self, resource: Resource) -> None:
        server = self.servers.setdefault(resource.address, Server({}, {}, running=False))
        server.files = _files(resource)

    def _start(self, address: str) -> None:
        server = self.servers[address]
        server.effective, server.running = dict(server.files), True

    def update(self, resource: Resource, changed: Mapping[str, OnChange]) -> Steps:
        address = resource.address
        disturbs = any(effect.severity >= OnChange.RESTART.severity for effect in changed.values())
        disturbs = disturbs and self.servers[address].running
        yield Step("push", partial(self._push, resource, changed))
        if disturbs:
            yield Step("restart", partial(self._disturb, address))
        elif changed:
            yield Step("reload", partial(self._reload, resource, changed))

    def _push(self, resource: Resource, changed: Mapping[str, OnChange]) -> None:
        wanted = _files(resource)
        self.servers[resource.address].files.update({k: wanted[k] for k in changed if k in wanted})

    def _reload(self, resource: Resource, changed: Mapping[str, OnChange]) -> None:
        server = self.servers[resource.address]
        if SERVICE in changed:
            self._start(resource.address)
        server.effective.update({key: server.files[key] for key in changed if key in server.files})

    def _disturb(self, address: str) -> None:
        with self.guard:
            self.disturbed.add(address)
            self.most_disturbed = max(self.most_disturbed, len(self.disturbed))
        self._start(address)
        with self.guard:
            self.disturbed.discard(address)

    def replace(self, resource: Resource, recorded: Recorded) -> Steps:
        yield Step("take away", partial(self._take_away, resource.address))
        yield Step("make anew", partial(self._lay_down, resource))
        yield Step("start", partial(self._disturb, resource.address))

    def _take_away(self, address: str) -> None:
        if address in self.servers:
            self.servers[address].files = {}
            self.servers[address].running = False

    def delete(self, recorded: Recorded, *, data: Data) -> Steps:
        assert data is Data.ASIDE
        yield Step("keep the data", partial(self._remove, recorded.address))

    def _remove(self, address: str) -> None:
        if self.servers.pop(address, None):
            self.kept.append(address)


def _files(resource: Resource) -> dict[str, Value]:
    return {key: value for key, value in resource.values.items() if key != SERVICE}


@dataclass
class Journal:
    """The state; every write is a point to die at."""

    ground: Ground
    known: dict[str, Recorded] = field(default_factory=dict)

    def record(self, recorded: Recorded) -> None:
        self.ground.point()
        self.known[recorded.address] = recorded

    def forget(self, address: str) -> None:
        self.ground.point()
        self.known.pop(address, None)

    def step_started(self, resource: str, title: str) -> int:
        self.ground.point()
        return 0

    def step_ended(self, step: int, error: str | None = None) -> None:
        self.ground.point()


class Watcher:
    """Sees which changes that disturb are under way at once."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.exclusive = 0
        self.most = 0

    def change_started(self, change: Change) -> None:
        with self.guard:
            self.exclusive += change.exclusive
            self.most = max(self.most, self.exclusive)

    def step_started(self, change: Change, title: str) -> None: ...

    def change_ended(self, change: Change, error: PgsteadError | None) -> None:
        with self.guard:
            self.exclusive -= change.exclusive

    def stopping(self) -> None: ...


@dataclass(frozen=True)
class Wanted:
    """A stack file: so many members, and the value of each kind of attribute."""

    members: int
    values: Mapping[str, int]

    @property
    def resources(self) -> list[Resource]:
        names = [f"machine.m{index}" for index in range(self.members)]
        attributes = {
            **{key: Attribute(value, EFFECTS[key], key) for key, value in self.values.items()},
            SERVICE: Attribute("running", OnChange.RESTART, SERVICE),
        }
        machines = [
            Resource(name, "machine", attributes, place={"cluster": CLUSTER}, holds_data=True)
            for name in names
        ]
        return [*machines, Resource(CLUSTER, "etcd", attributes, tuple(names))]


def planned(wanted: Wanted, ground: Ground, journal: Journal) -> Plan:
    desired = {resource.address: resource for resource in wanted.resources}
    return make_plan(desired.values(), journal.known, ground.observe({**journal.known, **desired}))


def run(wanted: Wanted, ground: Ground, journal: Journal) -> None:
    watcher = Watcher()
    plan = planned(wanted, ground, journal)
    assert_careful(plan, wanted)
    apply(plan, Run({"machine": ground, "etcd": ground}, journal, watcher))
    assert watcher.most <= 1


def assert_careful(plan: Plan, wanted: Wanted) -> None:
    """Only what is not wanted goes, and whatever stops something that serves is exclusive."""
    addresses = {resource.address for resource in wanted.resources}
    for change in plan.pending:
        if change.action in (Action.DELETE, Action.FORGET):
            assert change.address not in addresses
        stops = change.action in (Action.DELETE, Action.REPLACE) or any(
            each.on_change.severity >= OnChange.RESTART.severity and each.key != SERVICE
            for each in change.differences
        )
        assert change.exclusive or not stops


def assert_in_effect(wanted: Wanted, ground: Ground, journal: Journal) -> None:
    resources = {resource.address: resource for resource in wanted.resources}
    assert ground.servers.keys() == resources.keys() == journal.known.keys()
    for address, resource in resources.items():
        server = ground.servers[address]
        assert server.running
        assert server.effective == server.files == _files(resource)
        assert journal.known[address].status == "ready"
        assert journal.known[address].values == resource.values
    assert not planned(wanted, ground, journal).pending


members = st.integers(min_value=1, max_value=4)
values = st.fixed_dictionaries({key: st.integers(1, 3) for key in EFFECTS})
stacks = st.builds(Wanted, members, values)
drifts = st.sampled_from(["nothing", "edited", "stopped", "gone"])


def drift(kind: str, address: str, ground: Ground) -> None:
    """Somebody does something by hand."""
    server = ground.servers.get(address)
    if server is None:
        return
    if kind == "edited":
        server.files["reloaded"] = "by hand"
    elif kind == "stopped":
        server.running = False
    elif kind == "gone":
        del ground.servers[address]


@settings(deadline=None)
@given(
    tries=st.lists(
        st.tuples(stacks, st.integers(0, 40), drifts, st.integers(0, 3)), min_size=1, max_size=6
    ),
    last=stacks,
)
def test_whatever_was_interrupted_in_the_end_what_is_wanted_is_in_effect(
    tries: list[tuple[Wanted, int, str, int]], last: Wanted
) -> None:
    """Stack files come and go, every run is killed somewhere, and hands interfere."""
    ground = Ground()
    journal = Journal(ground)
    for wanted, points, kind, index in tries:
        ground.left = points
        with suppress(Killed):
            run(wanted, ground, journal)
        drift(kind, f"machine.m{index}", ground)
    ground.left = None
    run(last, ground, journal)
    assert_in_effect(last, ground, journal)
    assert ground.most_disturbed <= 1


@settings(deadline=None)
@given(first=stacks, second=stacks, points=st.integers(0, 60))
def test_no_data_is_lost_unasked(first: Wanted, second: Wanted, points: int) -> None:
    """Every machine that ever was is there, or its data was kept."""
    ground = Ground()
    journal = Journal(ground)
    run(first, ground, journal)
    ground.left = points
    with suppress(Killed):
        run(second, ground, journal)
    ground.left = None
    run(second, ground, journal)
    there = {resource.address for resource in first.resources}
    assert there <= ground.servers.keys() | set(ground.kept)
    assert all(server.data == "precious" for server in ground.servers.values())


def test_a_change_that_is_taken_back_after_two_crashes_is_out_of_effect() -> None:
    """In place is not in effect: the state must not claim so after a crash in between."""
    ground = Ground()
    journal = Journal(ground)
    old = Wanted(1, dict.fromkeys(EFFECTS, 1))
    new = replace(old, values={**old.values, "restarted": 2})
    run(old, ground, journal)
    for points in range(12):
        for again in range(12):
            for wanted, left in ((new, points), (old, again)):
                ground.left = left
                with suppress(Killed):
                    run(wanted, ground, journal)
            ground.left = None
            run(old, ground, journal)
            assert_in_effect(old, ground, journal)
