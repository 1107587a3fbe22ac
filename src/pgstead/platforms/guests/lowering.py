"""From machines to attributes: what all virtual machines have, wherever they run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from pgstead.engine.resource import Attribute, Recorded, Resource
from pgstead.machine import Disk, Machine, OnChange
from pgstead.membership import StandaloneServer
from pgstead.platforms import software
from pgstead.platforms.base import Digest
from pgstead.platforms.cloud_init import unit

KIND = "machine"
ON, OFF = "on", "off"
GIVEN_DATA = "given_data"
"""The key, in a resource's `place`, of the data volume that the stack file names."""

IMAGE, INTERFACES, ADMIN, POWER = "image", "interfaces", "admin", "power"
OS_DISK, DATA_DISK = "disk:os", "disk:data"
SOFTWARE = "software"
"""With no way into the machine: a digest of all of its software, as it was laid down."""

_INSIDE = frozenset(("file", "mode", "directory", "service", "running", "package", "setup"))


def is_inside(key: str) -> bool:
    """Whether a key is about a machine's inside (`platforms.software`), not about its outside."""
    kind, colon, _ = key.partition(":")
    return bool(colon) and kind in _INSIDE


def data_disk(machine: Machine, size: int | None) -> Disk | None:
    """The module's disk, a wish for one fulfilled, or one for the folder that holds data.

    `size`, in GiB, is that of disks that are none of the module's own; None for no such disk.
    """
    disk = machine.guest.data_disk or _wish(machine)
    if disk is None:
        return None
    own = disk.size is not None or disk.volume_id is not None
    found = disk if own else replace(disk, size=size)
    return found if found.volume_id is not None or found.size else None


def _wish(machine: Machine) -> Disk | None:
    """A disk for the folder that holds the machine's data; None where there is no such folder."""
    data = [one for one in machine.software.directories if one.data]
    if not data:
        return None
    first = data[0]
    # PostgreSQL's tools want to make, move and remove their folder, so it is none mounted.
    parent, _, last = first.path.rpartition("/")
    mount = parent if last == "data" else first.path
    return Disk("data", mount=mount, owner=first.owner)


def resource(
    machine: Machine, attributes: Mapping[str, Attribute], place: Mapping[str, Any]
) -> Resource:
    """The resource of a complete machine."""
    data = [one.path for one in machine.software.directories if one.data]
    disk = machine.guest.data_disk
    given = {GIVEN_DATA: disk.volume_id} if disk and disk.volume_id is not None else {}
    return Resource(
        address=f"{KIND}.{machine.name}",
        kind=KIND,
        attributes=attributes,
        after=tuple(f"{KIND}.{name}" for name in machine.after),
        place={**place, **given},
        holds_data=bool(data),
        only_copy=bool(data) and isinstance(machine.membership, StandaloneServer),
        outlives=disk is not None,
        body=machine,
    )


def sizes(machine: Machine, recorded: Recorded | None) -> dict[str, Attribute]:
    """The sizes of its disks, of those that have one."""
    disks = ((OS_DISK, machine.guest.os_disk), (DATA_DISK, machine.guest.data_disk))
    return {
        key: _size(key, disk, recorded)
        for key, disk in disks
        if disk is not None and disk.size is not None
    }


def _size(key: str, disk: Disk, recorded: Recorded | None) -> Attribute:
    """A disk grows while it is in use; it never shrinks, and neither does what is on it."""
    before = recorded.values.get(key) if recorded else None
    shrinks = isinstance(before, int) and disk.size is not None and disk.size < before
    effect = OnChange.REFUSE if shrinks else OnChange.RELOAD
    return Attribute(disk.size, effect, f"size of the {disk.name} disk in GiB")


def inside(machine: Machine, digest: Digest, *, sees_inside: bool) -> dict[str, Attribute]:
    """Its software by key; one digest of all of it where nobody can look at it."""
    if not machine.guest.running:
        return {}
    found = {**software.attributes(machine, digest), **software.installed(machine)}
    for service in machine.software.services:
        text = unit_text(machine, service.name)
        key = f"service:{service.name}"
        found[key] = replace(found[key], value=software.plain_digest(text))
    if sees_inside:
        return found
    text = json.dumps({key: one.value for key, one in sorted(found.items())})
    label = "software, which cannot be changed from outside"
    value = software.plain_digest(text)
    return {SOFTWARE: Attribute(value, OnChange.REPLACE, label, hidden=True)}


def unit_text(machine: Machine, service: str) -> str:
    """The systemd unit of one of the machine's services."""
    disk = machine.guest.data_disk
    for one in machine.software.services:
        if one.name == service:
            return unit(one, machine.software.directories, disk.mount if disk else None)
    raise KeyError(service)


def admin(machine: Machine, digest: Callable[[str], str]) -> str:
    """A keyed digest of the first user."""
    return digest(json.dumps(asdict(machine.guest.admin), sort_keys=True))
