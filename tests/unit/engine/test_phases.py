"""When changes take place, and what waits for what."""

import pytest

from pgstead.engine.apply import _waits
from pgstead.engine.compare import make_plan
from pgstead.engine.plan import Action, Change, Phase, Plan
from pgstead.engine.resource import Attribute, Present, Recorded, Resource
from pgstead.machine import OnChange


def resource(address: str, value: str, on_change: OnChange, *after: str) -> Resource:
    attributes = {"key": Attribute(value, on_change, "the key")}
    return Resource(address, address.partition(".")[0], attributes, after)


def recorded(one: Resource, value: str) -> Recorded:
    return Recorded(one.address, one.kind, {"key": value}, "ready", one.after)


def planned(*resources: Resource, before: str | None = "old", was: str = "old") -> Plan:
    known = {one.address: recorded(one, was) for one in resources}
    seen = {one.address: Present({"key": before} if before else {}) for one in resources}
    return make_plan(resources, known, seen)


def phases(plan: Plan) -> dict[str, Phase]:
    return {change.address: change.phase for change in plan.changes}


ETCD = resource("etcd.main", "new", OnChange.RELOAD)
PATRONI = resource("machine.postgres-1", "new", OnChange.RELOAD, "etcd.main")


def test_patroni_reads_a_password_before_etcd_takes_it() -> None:
    assert phases(planned(ETCD, PATRONI, resource("postgres.main", "new", OnChange.RELOAD))) == {
        "postgres.main": Phase.SETTINGS,
        "machine.postgres-1": Phase.FILES,
        "etcd.main": Phase.ACCESS,
    }


def test_a_user_that_is_not_there_yet_comes_first() -> None:
    assert phases(planned(ETCD, before=None)) == {"etcd.main": Phase.SETTINGS}


def test_a_user_changed_by_hand_is_repaired_first() -> None:
    assert phases(planned(ETCD, before="by hand", was="new")) == {"etcd.main": Phase.REPAIR}


def test_what_is_made_or_restarted_logs_in_with_the_new_password() -> None:
    made = resource("machine.postgres-2", "new", OnChange.RELOAD, "etcd.main")
    restarted = resource("machine.postgres-3", "new", OnChange.RESTART, "etcd.main")
    known = {one.address: recorded(one, "old") for one in (ETCD, restarted)}
    seen = {one.address: Present({"key": "old"}) for one in (ETCD, restarted)}
    assert phases(make_plan([ETCD, made, restarted], known, seen)) == {
        "etcd.main": Phase.ACCESS,
        "machine.postgres-2": Phase.CREATE,
        "machine.postgres-3": Phase.MACHINES,
    }


@pytest.mark.parametrize("after", ["etcd.main", "machine.etcd-1"])
@pytest.mark.parametrize(("wanted", "phase"), [("new", Phase.CREATE), ("old", Phase.REPAIR)])
def test_what_is_down_starts_after_etcd_knows_its_password(
    wanted: str, phase: Phase, after: str
) -> None:
    attributes = {"running:patroni": Attribute("running", OnChange.RESTART, "service patroni")}
    down = Resource("machine.postgres-1", "machine", attributes, (after,))
    etcd = resource("etcd.main", wanted, OnChange.RELOAD, "machine.etcd-1")
    known = {etcd.address: recorded(etcd, "old")}
    known[down.address] = Recorded(down.address, "machine", down.values, "ready", down.after)
    seen = {
        etcd.address: Present({"key": "old"}),
        down.address: Present({"running:patroni": "stopped"}),
    }
    assert phases(make_plan([etcd, down], known, seen))["machine.postgres-1"] is phase


def test_leaders_come_last_and_what_waits_for_them_after() -> None:
    names = ("machine.a", "machine.b", "machine.c")
    one, two, three = (resource(name, "new", OnChange.RESTART) for name in names)
    waiting = resource("machine.d", "new", OnChange.RESTART, "machine.a")
    plan = planned(one, waiting, two, three).with_last({"machine.a"})
    assert [change.address for change in plan.changes][-2:] == ["machine.a", "machine.d"]
    assert all(change.exclusive for change in plan.changes)


def test_disruptions_take_place_in_the_plans_order() -> None:
    names = ("machine.c", "machine.a", "machine.b")
    changes = tuple(Change(name, Action.UPDATE, exclusive=True) for name in names)
    beside = Change("machine.d", Action.UPDATE)
    assert _waits(Phase.MACHINES, (*changes, beside)) == {
        "machine.c": [],
        "machine.a": ["machine.c"],
        "machine.b": ["machine.a"],
        "machine.d": [],
    }
