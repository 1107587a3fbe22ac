"""A state that is only being thought of, in memory: what it says of machines that are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pgstead import spec
from pgstead.engine.compare import make_plan
from pgstead.engine.export import put_content
from pgstead.engine.keys import passing_key
from pgstead.engine.plan import MACHINE
from pgstead.engine.resource import Observed, Present, Recorded, Resource, Unknown
from pgstead.engine.state import draft
from pgstead.errors import Refused
from pgstead.operations.platforms import spare
from pgstead.operations.session import Session
from pgstead.platforms.base import Found


@dataclass(frozen=True, slots=True)
class Adoptee:
    """A resource as the new state has it.

    `where` tells where a machine was found; empty for what lives inside machines. `note`
    says in words what is not as a reader would expect; empty where all is.
    """

    address: str
    where: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Adoption:
    """What a state would be rebuilt as. `summary` is the plan that follows, in one line."""

    name: str
    stack_id: str
    resources: tuple[Adoptee, ...]
    warnings: tuple[str, ...]
    summary: str
    written: bool = False


@dataclass(frozen=True, slots=True)
class Chosen:
    """A stack's id, None where the platform has none, and its machines."""

    stack_id: str | None
    machines: tuple[Found, ...]


@contextmanager
def drafted(
    file: Path, stack: spec.Stack, content: Mapping[str, Any] | None, found: Chosen
) -> Iterator[Session]:
    """A session whose state is in memory: what was exported, and every machine that is there."""
    state = draft(stack.name, found.stack_id)
    keys = passing_key(state.stack_id)
    try:
        if content is not None:
            put_content(state, content, keys)
        known = state.recorded()
        for one in found.machines:
            state.record(_as_found(one, known.get(f"{MACHINE}.{one.machine}")))
        yield Session(file, stack, state, keys=keys)
    finally:
        state.close()


def _as_found(one: Found, known: Recorded | None) -> Recorded:
    """What is recorded of a machine before it was looked at: where it is."""
    if known is not None:
        return replace(known, place={**known.place, **one.place})
    address = f"{MACHINE}.{one.machine}"
    return Recorded(address, MACHINE, {}, place=one.place, holds_data=one.holds_data)


def fill(session: Session, found: Chosen, *, exported: bool) -> Adoption:
    """Write into the draft what the state would say; the materials are saved into it as well."""
    for one in found.machines:
        if one.address:
            session.materials.address(one.machine, one.address)
    desired = {resource.address: resource for resource in session.desired}
    made = session.materials.made()
    lost = () if exported else tuple(name for name in made if name not in spare(session.stack))
    if lost:
        raise _lost(lost)
    session.materials.save()
    observed = session.observe()
    known = session.state.recorded()
    for address, resource in desired.items():
        record = _as_seen(resource, known.get(address), observed.get(address))
        if record is not None:
            session.state.record(record)
    recorded = session.state.recorded()
    plan = make_plan(desired.values(), recorded, observed)
    return Adoption(
        session.stack.name,
        session.state.stack_id,
        tuple(_rows(recorded, desired, observed, found)),
        (*session.warnings, *_made_anew(made, exported=exported)),
        plan.summary,
    )


def _as_seen(
    resource: Resource, known: Recorded | None, observed: Observed | None
) -> Recorded | None:
    """What is recorded of a resource that is there: what was seen of it.

    One that cannot be seen, or is gone, stays as it was exported. None for one that is neither
    there nor exported.
    """
    if not isinstance(observed, Present):
        return known
    before = known.values if known else {}
    seen = {key: each for key, each in observed.values.items() if not isinstance(each, Unknown)}
    kept = {key: before[key] for key in resource.attributes if key in before}
    return Recorded(
        resource.address,
        resource.kind,
        {**kept, **seen},
        status=known.status if known else "ready",
        after=resource.after,
        place={**(known.place if known else {}), **resource.place},
        holds_data=resource.holds_data,
        only_copy=resource.only_copy,
    )


def _rows(
    recorded: Mapping[str, Recorded],
    desired: Mapping[str, Resource],
    observed: Mapping[str, Observed],
    found: Chosen,
) -> Iterator[Adoptee]:
    where = {f"{MACHINE}.{one.machine}": one.where for one in found.machines}
    for address in recorded:
        seen = observed.get(address)
        note = seen.reason if isinstance(seen, Unknown) else ""
        if seen is None and address not in where:
            note = "is in the export, and is not there"
        elif address not in desired:
            note = "is not in the stack file: the next `up` would remove it"
        yield Adoptee(address, where.get(address, ""), note)


def _made_anew(made: tuple[str, ...], *, exported: bool) -> Iterator[str]:
    if made:
        where = "not in the export" if exported else "lost, and not needed here"
        yield f"{where}, so it is made anew: {_named(made)}"


def _named(materials: tuple[str, ...]) -> str:
    """Materials in words: `authority/shop` is the certificate authority `shop`."""
    kinds = {"authority": "certificate authority", "password": "password"}
    split = (name.partition("/") for name in materials)
    return ", ".join(f"{kinds[kind]} {name!r}" for kind, _, name in split)


def _lost(made: tuple[str, ...]) -> Refused:
    return Refused(
        f"the machines are there, but what opens them was lost with the state: {_named(made)}",
        hint="give a file of `pgstead state export`: --export FILE. Without one, write those that"
        " you have elsewhere into the stack file (certificate_authorities, passwords). Nothing was"
        " changed, and the machines go on serving",
    )
