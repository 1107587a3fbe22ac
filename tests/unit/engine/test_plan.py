"""The plan, as a pure comparison."""

from dataclasses import replace

import pytest

from pgstead.engine.apply import refusal
from pgstead.engine.compare import make_plan
from pgstead.engine.plan import Action, Phase, Plan
from pgstead.engine.resource import Attribute, Observed, Present, Recorded, Resource, Unknown
from pgstead.errors import SpecError
from pgstead.machine import OnChange


def machine(name: str = "a", /, **values: tuple[str, OnChange]) -> Resource:
    attributes = {key: Attribute(value, effect, key) for key, (value, effect) in values.items()}
    return Resource(f"machine.{name}", "machine", attributes)


def recorded(resource: Resource, status: str = "ready", **values: str) -> Recorded:
    return Recorded(
        resource.address, resource.kind, {**resource.values, **values}, status, resource.after
    )


def one(
    desired: Resource | None, known: Recorded | None, seen: Observed, **options: object
) -> Plan:
    address = (desired or known).address  # type: ignore[union-attr]
    return make_plan(
        [desired] if desired else [],
        {address: known} if known else {},
        {address: seen},
        **options,  # type: ignore[arg-type]
    )


FILE = machine(file=("new", OnChange.RELOAD))
SERVICE = machine(service=("new", OnChange.RESTART))
IMAGE = machine(image=("new", OnChange.REPLACE))
DISK = machine(disk=("small", OnChange.REFUSE))
TOKEN = machine(token=("new", OnChange.CREATE_ONLY))


def test_what_is_as_it_should_be_needs_nothing() -> None:
    plan = one(FILE, recorded(FILE), Present(FILE.values))
    assert [change.action for change in plan.changes] == [Action.NONE]
    assert not plan.pending


def test_what_was_never_made_is_created() -> None:
    (change,) = one(FILE, None, None).changes
    assert (change.action, change.reasons, change.exclusive) == (Action.CREATE, (), False)


def test_a_new_value_is_no_drift_and_an_old_one_is() -> None:
    (change,) = one(FILE, recorded(FILE, file="old"), Present({"file": "old"})).pending
    assert (change.action, change.differences[0].drift) == (Action.UPDATE, False)
    (change,) = one(FILE, recorded(FILE), Present({"file": "edited"})).pending
    assert (change.action, change.differences[0].drift) == (Action.UPDATE, True)


@pytest.mark.parametrize(
    ("resource", "action", "exclusive"),
    [
        (FILE, Action.UPDATE, False),
        (SERVICE, Action.UPDATE, True),
        (IMAGE, Action.REPLACE, True),
        (DISK, Action.REFUSE, False),
        (TOKEN, Action.NONE, False),
    ],
)
def test_a_difference_does_what_its_attribute_says(
    resource: Resource, action: Action, *, exclusive: bool
) -> None:
    old = dict.fromkeys(resource.values, "old")
    (change,) = one(resource, recorded(resource, **old), Present(old)).changes
    assert (change.action, change.exclusive) == (action, exclusive)


def test_replacing_the_only_copy_of_data_is_refused() -> None:
    server = replace(IMAGE, only_copy=True)
    plan = one(server, recorded(server, image="old"), Present({"image": "old"}))
    assert plan.refused
    assert not plan.pending


def test_data_that_outlives_its_machine_is_kept_by_who_makes_it_anew() -> None:
    server = replace(IMAGE, only_copy=True, outlives=True)
    changed = one(server, recorded(server, image="old"), Present({"image": "old"}))
    assert [change.action for change in changed.pending] == [Action.REPLACE]
    assert [change.action for change in one(server, recorded(server), None).pending] == [
        Action.CREATE
    ]


@pytest.mark.parametrize("seen", [None, Present(FILE.values), Unknown("the machine is off")])
def test_what_cannot_become_as_it_is_asked_for_is_refused(seen: Observed) -> None:
    asked = replace(FILE, refused=("16 cannot open it", "go back to 15"))
    plan = one(asked, recorded(FILE), seen, recreate=["machine.a"])
    (change,) = plan.refused
    assert change.reasons == asked.refused
    error = refusal(plan)
    assert "machine.a 16 cannot open it; go back to 15" in error.message
    assert "--recreate" not in str(error.hint)
    assert "data would be lost" not in error.message


def test_a_vanished_only_copy_is_made_anew_by_name_alone() -> None:
    server = replace(FILE, only_copy=True)
    assert one(server, recorded(server), None).refused
    (change,) = one(server, recorded(server), None, recreate=["machine.a"]).pending
    assert change.action is Action.CREATE


MEMBERS = tuple(
    replace(machine(name), place={"cluster": "etcd.e"}, loss="what etcd holds") for name in "ab"
)
CLUSTER = Resource("etcd.e", "etcd", {}, after=("machine.a", "machine.b"))
USER = replace(machine("p", **{"running:p": ("running", OnChange.RESTART)}), after=("machine.b",))
"""Its service logs in to that cluster, and starts as soon as its members run."""
BOTH = ("machine.a", "machine.b")


def lost(*gone: str, recreate: tuple[str, ...] = (), status: str = "ready") -> Plan:
    """The plan after those members are gone; the cluster answers nobody."""
    known = {
        each.address: replace(recorded(each), place=each.place)
        for each in (*MEMBERS, CLUSTER, USER)
    }
    known["etcd.e"] = replace(known["etcd.e"], status=status)
    seen: dict[str, Observed] = {name: None if name in gone else Present({}) for name in BOTH}
    seen |= {"etcd.e": Unknown("nobody answers"), "machine.p": Present({"running:p": "stopped"})}
    return make_plan((*MEMBERS, CLUSTER, USER), known, seen, recreate=recreate)


def test_members_that_are_lost_all_at_once_are_refused() -> None:
    assert {change.address for change in lost(*BOTH).refused} == set(BOTH)
    assert lost(*BOTH).refused[0].reasons[0].endswith("the only copy of what etcd holds")
    assert str(refusal(lost(*BOTH)).hint).endswith("by name: --recreate etcd.e")
    assert not lost("machine.a").refused
    assert not lost(*BOTH, status="creating").refused


@pytest.mark.parametrize("recreate", [("etcd.e",), BOTH])
def test_a_lost_cluster_begins_anew_when_it_is_named(recreate: tuple[str, ...]) -> None:
    plan = lost(*BOTH, recreate=recreate)
    assert [one.address for one in plan.renewed] == ["etcd.e"]
    assert plan.renewed[0].status == "creating"
    made = [change for change in plan.pending if change.action is Action.CREATE]
    assert [change.address for change in made] == [*BOTH, "etcd.e"]
    assert not any(change.exclusive for change in made)
    (user,) = (change for change in plan.pending if change.address == "machine.p")
    assert user.phase is Phase.CREATE  # it could not start before


def test_one_of_the_lost_members_by_name_is_not_enough() -> None:
    assert len(lost(*BOTH, recreate=("machine.a",)).refused) == 2


def test_what_cannot_be_seen_is_unknown_never_unchanged() -> None:
    (change,) = one(FILE, recorded(FILE), Unknown("host down")).changes
    assert (change.action, change.reasons) == (Action.UNKNOWN, ("host down",))
    (change,) = one(FILE, recorded(FILE), Present({"file": Unknown("no reach")})).changes
    assert change.action is Action.UNKNOWN


def test_what_is_not_wanted_any_more_is_deleted_once_it_can_be_seen() -> None:
    assert one(None, recorded(FILE), Present({})).changes[0].action is Action.DELETE
    assert one(None, recorded(FILE), None).changes[0].action is Action.FORGET
    assert one(None, recorded(FILE, "deleting"), None).changes[0].action is Action.DELETE
    assert one(None, recorded(FILE), Unknown("down")).changes[0].action is Action.UNKNOWN


def test_an_interrupted_creation_is_resumed() -> None:
    (change,) = one(FILE, recorded(FILE, "creating"), Present({})).changes
    assert change.action is Action.CREATE


def test_what_is_there_but_was_never_recorded_is_made_whole() -> None:
    """A cluster can be seen as soon as its members run, before its own steps were done."""
    (change,) = one(FILE, None, Present(FILE.values)).changes
    assert (change.action, change.reasons) == (Action.CREATE, ("was never completed: resumed",))


def test_an_interrupted_replacement_is_resumed_as_what_is_left_of_it() -> None:
    server = replace(IMAGE, only_copy=True)
    half = recorded(server, "replacing")
    assert one(server, half, Present(IMAGE.values)).changes[0].action is Action.REPLACE
    assert one(server, half, None).changes[0].action is Action.CREATE


def test_a_value_in_place_but_not_in_effect_is_still_a_difference() -> None:
    (change,) = one(FILE, recorded(FILE, "updating", file="old"), Present(FILE.values)).changes
    assert (change.action, change.changed) == (Action.UPDATE, {"file": OnChange.RELOAD})


def test_what_somebody_added_is_drift() -> None:
    (change,) = one(FILE, recorded(FILE), Present({**FILE.values, "guc:work_mem": "1GB"})).changes
    assert (change.differences[0].drift, change.differences[0].after) == (True, None)


def test_a_stopped_service_is_repaired_first_and_disturbs_nobody() -> None:
    key = "running:etcd"
    resource = machine("a", **{key: ("running", OnChange.RESTART)})
    (change,) = one(resource, recorded(resource), Present({key: "stopped"})).pending
    assert (change.phase, change.exclusive) == (Phase.REPAIR, False)
    (change,) = one(resource, recorded(resource), Present({key: "unsupervised"})).pending
    assert (change.phase, change.exclusive) == (Phase.REPAIR, True)


def test_joining_a_cluster_that_serves_is_done_alone() -> None:
    cluster = Resource("etcd.main", "etcd", {})
    member = replace(FILE, place={"cluster": "etcd.main"})
    plan = make_plan(
        [member, cluster], {"etcd.main": recorded(cluster)}, {"etcd.main": Present({})}
    )
    assert [change.exclusive for change in plan.pending] == [True]


def test_order_follows_after_and_deletion_runs_backwards() -> None:
    first, second = replace(machine("z"), after=()), replace(machine("a"), after=("machine.z",))
    made = make_plan([second, first], {}, {})
    assert [change.address for change in made.changes] == ["machine.z", "machine.a"]
    known = {r.address: recorded(r) for r in (first, second)}
    gone = make_plan([], known, dict.fromkeys(known, Present({})))
    assert [change.address for change in gone.changes] == ["machine.a", "machine.z"]


def test_a_circle_is_named() -> None:
    first, second = (
        replace(machine("a"), after=("machine.b",)),
        replace(machine("b"), after=("machine.a",)),
    )
    with pytest.raises(SpecError, match=r"machine\.[ab] -> machine\.[ab] -> machine\.[ab]"):
        make_plan([first, second], {}, {})
