"""The comparison: what should exist against what was recorded and what is there. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter

from pgstead.engine import lost as losing
from pgstead.engine.plan import RUNNING, Action, Change, Difference, Phase, Plan, Unseen
from pgstead.engine.resource import (
    Attribute,
    Observed,
    Present,
    Recorded,
    Resource,
    Unknown,
    Value,
)
from pgstead.errors import SpecError
from pgstead.machine import OnChange


def make_plan(
    desired: Collection[Resource],
    recorded: Mapping[str, Recorded],
    observed: Mapping[str, Observed],
    *,
    recreate: Collection[str] = (),
) -> Plan:
    """Compare the three views of every resource.

    `recreate` names resources (addresses) that may be made anew although their data,
    which exists nowhere else, is gone; a cluster stands for its members. Raises `SpecError`
    if resources wait for each other in a circle.
    """
    wanted = {resource.address: resource for resource in desired}
    lost = losing.clusters(desired, recorded, observed)
    accepted = losing.accepted(lost, recorded, recreate)
    renewed = losing.renewed(accepted, recorded)
    recorded = {**recorded, **renewed}
    changes = tuple(
        _judge(
            address,
            wanted.get(address),
            recorded.get(address),
            None if address in renewed else observed.get(address),
            lost=lost - accepted,
            recreate=recreate,
            settled=_settled(wanted.get(address), recorded),
        )
        for address in _order(wanted, recorded)
    )
    held = _held(changes, renewed)
    return Plan(tuple(sorted(held, key=lambda change: change.phase)), tuple(renewed.values()))


def _held(changes: Collection[Change], renewed: Collection[str]) -> Iterator[Change]:
    """What logs in to an etcd whose users change in this plan does not start before that."""
    access = {change.address for change in changes if change.phase is Phase.ACCESS}
    access.update(renewed)
    of_access = (change.resource for change in changes if change.address in access)
    there = access.union(*(resource.after for resource in of_access if resource))
    for change in changes:
        needs = change.resource.after if change.resource and change.address not in access else ()
        waits = there.intersection(needs)
        yield replace(change, held=True) if waits else change


def _order(wanted: Mapping[str, Resource], recorded: Mapping[str, Recorded]) -> list[str]:
    """Addresses, each after those it waits for; what only goes comes last, dependents first."""
    going = [address for address in recorded if address not in wanted]
    there = {address: wanted[address].after for address in wanted}
    return [*_sorted(there), *reversed(_sorted({a: recorded[a].after for a in going}))]


def _sorted(after: Mapping[str, Collection[str]]) -> list[str]:
    graph = {address: [a for a in waits if a in after] for address, waits in after.items()}
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise SpecError(
            f"resources wait for each other in a circle: {circle}",
            hint="remove one of the references between these modules",
        ) from None


def _settled(resource: Resource | None, recorded: Mapping[str, Recorded]) -> bool:
    """Whether the cluster this resource is a member of serves already."""
    return resource is not None and losing.has_served(recorded.get(losing.cluster_of(resource)))


def _judge(
    address: str,
    resource: Resource | None,
    recorded: Recorded | None,
    observed: Observed,
    *,
    lost: Collection[str],
    recreate: Collection[str],
    settled: bool,
) -> Change:
    if resource is not None and resource.refused:
        return Change(address, Action.REFUSE, resource.refused, (), resource, recorded)
    if isinstance(observed, Unknown):
        action = Action.LEAVE if observed.down else Action.UNKNOWN
        return Change(address, action, (observed.reason,), (), resource, recorded)
    if resource is None:
        return _going(address, recorded, observed)
    if observed is None:
        precious = _precious(resource, lost=lost, recreate=recreate)
        return _absent(resource, recorded, settled=settled, precious=precious)
    if recorded is None or recorded.status in ("creating", "deleting", "replacing"):
        return _half_made(resource, recorded, settled=settled)
    return _present(resource, recorded, observed)


def _half_made(resource: Resource, recorded: Recorded | None, *, settled: bool) -> Change:
    """What is there may be anything until all of its steps were done once.

    A cluster's own resource can be seen as soon as its members run, made or not.
    """
    address = resource.address
    if recorded and recorded.status == "replacing":
        reasons = ("was interrupted while it was replaced: resumed",)
        return Change(address, Action.REPLACE, reasons, (), resource, recorded, exclusive=True)
    was = f"was interrupted while {recorded.status}" if recorded else "was never completed"
    reasons = (f"{was}: resumed",)
    return Change(address, Action.CREATE, reasons, (), resource, recorded, exclusive=settled)


def _going(address: str, recorded: Recorded | None, observed: Observed) -> Change:
    if observed is None and (recorded is None or recorded.status == "ready"):
        return Change(address, Action.FORGET, ("is gone already",), (), None, recorded)
    reason = "is not in the stack file any more"
    return Change(address, Action.DELETE, (reason,), (), None, recorded, exclusive=True)


def _precious(resource: Resource, *, lost: Collection[str], recreate: Collection[str]) -> str:
    """What would be lost for good if it were made anew, in words; empty if nothing would."""
    if resource.loss:
        return f" of {resource.loss}" if losing.cluster_of(resource) in lost else ""
    return " of its data" if _goes(resource) and resource.address not in recreate else ""


def _goes(resource: Resource) -> bool:
    """Whether data that is nowhere else goes with it. Whoever keeps data looks for it himself."""
    return resource.only_copy and not resource.outlives


def _absent(
    resource: Resource, recorded: Recorded | None, *, settled: bool, precious: str
) -> Change:
    if recorded is None:
        reasons: tuple[str, ...] = ()
    elif recorded.status in ("creating", "replacing"):
        reasons = ("is not there, or half of it only: made now",)
    elif precious:
        reason = f"was made and is gone, and with it the only copy{precious}"
        return Change(resource.address, Action.REFUSE, (reason,), (), resource, recorded)
    else:
        reasons = ("was made and is gone: made anew",)
    return Change(
        resource.address, Action.CREATE, reasons, (), resource, recorded, exclusive=settled
    )


def _present(resource: Resource, recorded: Recorded | None, observed: Present) -> Change:
    differences = tuple(_differences(resource, recorded, observed))
    unseen = tuple(
        Unseen(key, _label(resource, key, observed), value.reason)
        for key, value in observed.values.items()
        if isinstance(value, Unknown)
    )
    change = Change(
        resource.address,
        Action.UPDATE,
        (*observed.notes, *_why_unseen(unseen)),
        differences,
        resource,
        recorded,
        unseen=unseen,
    )
    return _decided(change)


def _why_unseen(unseen: Iterable[Unseen]) -> Iterator[str]:
    """Each reason once: of a machine that does not answer, no attribute can be read."""
    alike: dict[str, list[str]] = {}
    for one in unseen:
        alike.setdefault(one.reason, []).append(one.label)
    for reason, labels in alike.items():
        alone = len(labels) == 1
        yield f"{labels[0]}: {reason}" if alone else f"{reason}: {len(labels)} attributes not seen"


def _decided(change: Change) -> Change:
    resource = change.resource
    assert resource is not None  # noqa: S101 - `_present` gave it
    action, reasons = Action.UPDATE, change.reasons
    if change.effect is OnChange.REFUSE or (change.effect is OnChange.REPLACE and _goes(resource)):
        action = Action.REFUSE
        reasons = (*reasons, f"{_words(change)} cannot be changed without losing its data")
    elif change.effect is OnChange.REPLACE:
        action = Action.REPLACE
    elif not change.differences:
        action = Action.UNKNOWN if change.unseen else Action.NONE
    exclusive = action is not Action.REFUSE and any(map(_disturbs, change.differences))
    return replace(change, action=action, reasons=reasons, exclusive=exclusive)


def _disturbs(difference: Difference) -> bool:
    if difference.key.startswith(RUNNING):
        return difference.before == "unsupervised"
    return difference.on_change.severity >= OnChange.RESTART.severity


def _words(change: Change) -> str:
    worst = [d.label for d in change.differences if d.on_change is change.effect]
    return ", ".join(worst)


def _differences(
    resource: Resource, recorded: Recorded | None, observed: Present
) -> Iterator[Difference]:
    before = recorded.values if recorded else {}
    interrupted = recorded is not None and recorded.status == "updating"
    for key, attribute in resource.attributes.items():
        seen = observed.values.get(key)
        if attribute.on_change is OnChange.CREATE_ONLY or isinstance(seen, Unknown):
            continue
        # A value may be in place without being in effect, if the work was interrupted
        # between the two: the state has none for it then (`engine.apply`).
        pending = interrupted and before.get(key) != attribute.value
        if seen != attribute.value or pending:
            drift = before.get(key) == attribute.value
            yield _difference(key, attribute, seen, drift=drift)
    for key, value in observed.values.items():
        if key not in resource.attributes and value is not None and not isinstance(value, Unknown):
            drift = key not in before
            label = _label(resource, key, observed)
            yield Difference(key, label, value, None, OnChange.RELOAD, drift=drift)


def _difference(key: str, attribute: Attribute, seen: Value, *, drift: bool) -> Difference:
    return Difference(
        key,
        attribute.label,
        seen,
        attribute.value,
        _effect(attribute, drift=drift),
        drift=drift,
        hidden=attribute.hidden,
    )


def _effect(attribute: Attribute, *, drift: bool) -> OnChange:
    """What must never change can still be put back."""
    refused = attribute.on_change is OnChange.REFUSE
    return OnChange.RESTART if drift and refused else attribute.on_change


def _label(resource: Resource, key: str, observed: Present) -> str:
    attribute = resource.attributes.get(key)
    return attribute.label if attribute else observed.labels.get(key, key.replace(":", " "))
