"""Software brought to a machine that runs: pushed, removed, installed, its services told."""

from __future__ import annotations

from collections.abc import Mapping

from pgstead.engine.resource import Resource, Unknown
from pgstead.errors import NotReady
from pgstead.machine import Machine, OnChange, significant
from pgstead.platforms.guests import inside, installing
from pgstead.platforms.guests.guest import Guest
from pgstead.platforms.guests.lowering import is_inside
from pgstead.platforms.software import STOPPED, Actions, actions

SHUTDOWN_SECONDS = 120.0
"""For a guest to end, besides the time that its services may take to stop."""


def what(todo: Actions) -> str:
    """What is brought to a machine, in words."""
    packages = (f"the package {one.name}" for one in todo.install)
    return ", ".join(("files", *packages, *(one.name for one in todo.setup)))


def push(guest: Guest, todo: Actions, changed: Mapping[str, OnChange]) -> None:
    """Write and remove files and units, install and set up; services are told later."""
    units = [
        key.partition(":")[2]
        for key in changed
        if key.startswith("service:") and key.partition(":")[2] not in todo.retire
    ]
    guest.retire(todo.retire)
    guest.push(todo.push)
    guest.remove(todo.remove)
    installing.install(guest, todo.install)
    installing.set_up(guest, todo.setup)
    guest.push_units(units)


def settle(guest: Guest, resource: Resource) -> None:
    """Look into a machine that was just started, and put right what is not as it should be.

    What could not be seen while it was off, or what changed since it was begun to be made.
    """
    if guest.reach is None:
        return
    keys = [key for key in resource.attributes if is_inside(key)]
    seen = inside.values(guest.reach, resource, keys, _no_digest)
    secrets = {
        f"file:{file.path}": significant(file.content)
        for file in guest.machine.software.files
        if file.secret
    }
    wrong = {
        key: attribute.on_change
        for key, attribute in resource.attributes.items()
        if key in keys and seen.get(key) != secrets.get(key, attribute.value)
    }
    unseen = [value.reason for value in seen.values() if isinstance(value, Unknown)]
    if unseen:
        raise NotReady(f"{guest.machine.name} cannot be looked into: {unseen[0]}")
    if not wrong:
        return
    stopped = frozenset(key.partition(":")[2] for key, value in seen.items() if value == STOPPED)
    todo = actions(guest.machine.software, wrong, stopped)
    push(guest, todo, wrong)
    for service in todo.reload:
        guest.reload(service)
    for service in (*todo.start, *todo.restart):
        guest.restart(service)


def _no_digest(text: str) -> str:
    """Secret files are compared by their content here: no digest of them is at hand."""
    return text


def shutdown_seconds(machine: Machine) -> float:
    """How long a machine may take to shut down cleanly."""
    slowest = max((one.stop_seconds for one in machine.software.services), default=0)
    return SHUTDOWN_SECONDS + slowest
