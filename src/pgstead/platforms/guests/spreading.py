"""Machines over several places: hosts, availability zones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pgstead.engine.resource import Recorded
from pgstead.machine import Machine
from pgstead.platforms.guests.lowering import KIND


def spread(
    machines: Iterable[Machine],
    names: Sequence[str],
    recorded: Mapping[str, Recorded],
    *,
    key: str,
) -> dict[str, str]:
    """Per machine, one of the names: where it is, else the one with the fewest of its kind.

    `key` is under which a record's place keeps where it is. Among equals the first name is
    taken: a stack file stays as it was when names are added, and new members go to them.
    """
    known = list(machines)
    placed: dict[str, str] = {}
    for machine in known:
        there = recorded.get(f"{KIND}.{machine.name}")
        name = there.place.get(key) if there else None
        if name is not None:
            placed[machine.name] = str(name)
    count: dict[tuple[str, str], int] = {}
    for machine in known:
        if machine.name in placed:
            pair = (_group(machine), placed[machine.name])
            count[pair] = count.get(pair, 0) + 1
    for machine in known:
        if machine.name not in placed:
            group = _group(machine)
            name = min(names, key=lambda one: count.get((group, one), 0))
            placed[machine.name] = name
            count[group, name] = count.get((group, name), 0) + 1
    return placed


def _group(machine: Machine) -> str:
    """Machines of one kind are spread evenly, whichever cluster they belong to."""
    return type(machine.membership).__name__
