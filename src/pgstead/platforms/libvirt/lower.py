"""A machine becomes what it is on a libvirt host: complete, and a resource to compare."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

from pgstead.engine.resource import Attribute, Recorded, Resource
from pgstead.machine import Disk, Machine, Nic, OnChange
from pgstead.membership import StandaloneServer
from pgstead.platforms import software
from pgstead.platforms.base import Digest
from pgstead.platforms.cloud_init import conventional, unit
from pgstead.platforms.libvirt.connection import Host
from pgstead.platforms.libvirt.drivers import driver_of
from pgstead.platforms.libvirt.naming import Naming
from pgstead.spec.libvirt import LibvirtPlatform

KIND = "machine"
ON, OFF = "on", "off"
IMAGE, INTERFACES, ADMIN, POWER, AUTOSTART = "image", "interfaces", "admin", "power", "autostart"
VCPUS, MEMORY, OS_DISK, DATA_DISK = "vcpus", "memory", "disk:os", "disk:data"
SOFTWARE = "software"
"""With no way into the machine: a digest of all of its software, as it was laid down."""

OWN = frozenset(
    (IMAGE, INTERFACES, ADMIN, POWER, AUTOSTART, VCPUS, MEMORY, OS_DISK, DATA_DISK, SOFTWARE)
)
"""The keys that are about the machine from outside; all others are about its inside."""


def machine_name(address: str) -> str:
    """The machine that a resource's address names."""
    return address.removeprefix(f"{KIND}.")


def spread(
    machines: Iterable[Machine], hosts: tuple[str, ...], recorded: Mapping[str, Recorded]
) -> dict[str, str]:
    """Per machine, its host: where it is, else the one with the fewest members of its kind.

    Among equals the first in the stack file's order: a single host's stack file stays as
    it was when hosts are added, and new members go to the new ones.
    """
    known = list(machines)
    placed: dict[str, str] = {}
    for machine in known:
        there = recorded.get(f"{KIND}.{machine.name}")
        host = there.place.get("host") if there else None
        if host is not None:
            placed[machine.name] = str(host)
    count: dict[tuple[str, str], int] = {}
    for machine in known:
        if machine.name in placed:
            key = (_group(machine), placed[machine.name])
            count[key] = count.get(key, 0) + 1
    for machine in known:
        if machine.name not in placed:
            group = _group(machine)
            host = min(hosts, key=lambda name: count.get((group, name), 0))
            placed[machine.name] = host
            count[group, host] = count.get((group, host), 0) + 1
    return placed


def _group(machine: Machine) -> str:
    """Machines of one kind are spread evenly, whichever cluster they belong to."""
    return type(machine.membership).__name__


def complete(machine: Machine, settings: LibvirtPlatform, host: Host, naming: Naming) -> Machine:
    """The machine with real paths, and with the platform's own where its guest names nothing."""
    real = conventional(machine)
    guest = real.guest
    admin = guest.admin
    whole = replace(
        guest,
        os_disk=_os_disk(guest.os_disk, settings, host),
        data_disk=_data_disk(real, settings, host),
        nics=_nics(real, settings, host, naming),
        admin=replace(
            admin,
            user=admin.user or settings.admin.user,
            public_key=admin.public_key or settings.admin.public_key,
        ),
        seed_pool=guest.seed_pool or host.pool,
    )
    return replace(real, guest=driver_of(host).fit(whole))


def _os_disk(disk: Disk, settings: LibvirtPlatform, host: Host) -> Disk:
    if disk.volume_id is not None:
        return replace(disk, pool=disk.pool or host.pool)
    return replace(
        disk,
        base=disk.base or host.image,
        size=disk.size or settings.os_size,
        pool=disk.pool or host.pool,
    )


def _data_disk(machine: Machine, settings: LibvirtPlatform, host: Host) -> Disk | None:
    """The module's disk, a wish for one fulfilled, or one for the folder that holds data."""
    disk = machine.guest.data_disk
    if disk is None:
        disk = _wish(machine)
    if disk is None:
        return None
    own = disk.size is not None or disk.volume_id is not None
    size = disk.size if own else settings.data_size
    if disk.volume_id is None and not size:
        return None
    return replace(disk, size=size, pool=disk.pool or host.pool)


def _wish(machine: Machine) -> Disk | None:
    data = [one for one in machine.software.directories if one.data]
    if not data:
        return None
    first = data[0]
    # PostgreSQL's tools want to make, move and remove their folder, so it is none mounted.
    parent, _, last = first.path.rpartition("/")
    mount = parent if last == "data" else first.path
    return Disk("data", mount=mount, owner=first.owner)


def _nics(
    machine: Machine, settings: LibvirtPlatform, host: Host, naming: Naming
) -> tuple[Nic, ...]:
    given = machine.guest.nics or (Nic(machine.address),)
    return tuple(
        _nic(nic, number, machine.name, settings, host, naming=naming)
        for number, nic in enumerate(given)
    )


def _nic(
    nic: Nic, number: int, name: str, settings: LibvirtPlatform, host: Host, *, naming: Naming
) -> Nic:
    free = (nic.network_id, nic.network_name, nic.macvtap) == (None, None, None)
    return replace(
        nic,
        macvtap=host.macvtap if free else nic.macvtap,
        network_name=host.network if free and not host.macvtap else nic.network_name,
        mac=(nic.mac or naming.mac(name, number)).lower(),
        prefix_length=nic.prefix_length or settings.prefix_length,
        gateway=nic.gateway or (settings.gateway if number == 0 else None),
        dns_servers=nic.dns_servers or settings.dns_servers,
    )


def resource(
    machine: Machine,
    host: str,
    naming: Naming,
    digest: Digest,
    *,
    sees_inside: bool,
    recorded: Recorded | None,
) -> Resource:
    """The resource of a complete machine."""
    data = [one.path for one in machine.software.directories if one.data]
    return Resource(
        address=f"{KIND}.{machine.name}",
        kind=KIND,
        attributes={
            **_outside(machine, digest, recorded),
            **_inside(machine, digest, sees_inside=sees_inside),
        },
        after=tuple(f"{KIND}.{name}" for name in machine.after),
        place=_place(machine, host, naming),
        holds_data=bool(data),
        only_copy=bool(data) and isinstance(machine.membership, StandaloneServer),
        outlives=machine.guest.data_disk is not None,
        body=machine,
    )


def _place(machine: Machine, host: str, naming: Naming) -> dict[str, Any]:
    """Where it is and which volumes are the stack's own: those it makes, and no others."""
    guest = machine.guest
    own = {}
    if guest.os_disk.volume_id is None:
        own["os"] = [guest.os_disk.pool, naming.volume(machine.name, "os")]
    if guest.data_disk is not None and guest.data_disk.volume_id is None:
        own["data"] = [guest.data_disk.pool, naming.volume(machine.name, "data")]
    own["seed"] = [guest.seed_pool, guest.seed_name or naming.volume(machine.name, "seed", ".iso")]
    return {
        "machine": machine.name,
        "host": host,
        "domain": naming.domain(machine.name),
        "uuid": naming.uuid("domain", machine.name),
        "address": machine.address,
        "volumes": own,
    }


def _outside(machine: Machine, digest: Digest, recorded: Recorded | None) -> dict[str, Attribute]:
    guest = machine.guest
    found = {
        IMAGE: Attribute(image(machine), OnChange.REPLACE, "image"),
        INTERFACES: Attribute(
            interfaces(machine), OnChange.REPLACE, "network interfaces", hidden=True
        ),
        ADMIN: Attribute(admin(machine, digest), OnChange.REPLACE, "first user", hidden=True),
        VCPUS: Attribute(guest.size.vcpus, OnChange.RESTART, "processors"),
        MEMORY: Attribute(guest.size.memory, OnChange.RESTART, "memory in MiB"),
        AUTOSTART: Attribute(guest.autostart, OnChange.RELOAD, "start with its host"),
        POWER: Attribute(ON if guest.running else OFF, OnChange.RESTART, "power"),
    }
    for key, disk in ((OS_DISK, guest.os_disk), (DATA_DISK, guest.data_disk)):
        if disk is not None and disk.size is not None:
            found[key] = _size(key, disk, recorded)
    return found


def _size(key: str, disk: Disk, recorded: Recorded | None) -> Attribute:
    """A disk grows while it is in use; it never shrinks, and neither does what is on it."""
    before = recorded.values.get(key) if recorded else None
    shrinks = isinstance(before, int) and disk.size is not None and disk.size < before
    effect = OnChange.REFUSE if shrinks else OnChange.RELOAD
    return Attribute(disk.size, effect, f"size of the {disk.name} disk in GiB")


def _inside(machine: Machine, digest: Digest, *, sees_inside: bool) -> dict[str, Attribute]:
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
    label = "software, which cannot be changed from outside (reach: none)"
    value = software.plain_digest(text)
    return {SOFTWARE: Attribute(value, OnChange.REPLACE, label, hidden=True)}


def unit_text(machine: Machine, service: str) -> str:
    """The systemd unit of one of the machine's services."""
    disk = machine.guest.data_disk
    for one in machine.software.services:
        if one.name == service:
            return unit(one, machine.software.directories, disk.mount if disk else None)
    raise KeyError(service)


def image(machine: Machine) -> str:
    """What the system disk is made from."""
    disk = machine.guest.os_disk
    return disk.volume_id or disk.base or ""


def interfaces(machine: Machine) -> str:
    """A digest of the interfaces as they were asked for."""
    found = [asdict(nic) for nic in machine.guest.nics]
    return software.plain_digest(json.dumps(found, sort_keys=True))


def admin(machine: Machine, digest: Callable[[str], str]) -> str:
    """A keyed digest of the first user."""
    return digest(json.dumps(asdict(machine.guest.admin), sort_keys=True))
