"""A machine becomes what it is on a libvirt host: complete, and a resource to compare."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

from pgstead.engine.resource import Attribute, Recorded, Resource
from pgstead.machine import Disk, Machine, Nic, OnChange
from pgstead.platforms import software
from pgstead.platforms.base import Digest
from pgstead.platforms.cloud_init import conventional
from pgstead.platforms.guests import lowering
from pgstead.platforms.guests.lowering import (
    ADMIN,
    IMAGE,
    INTERFACES,
    OFF,
    ON,
    POWER,
    admin,
    data_disk,
    inside,
    sizes,
)
from pgstead.platforms.libvirt.connection import Host
from pgstead.platforms.libvirt.drivers import driver_of
from pgstead.platforms.libvirt.naming import Naming
from pgstead.spec.libvirt import LibvirtPlatform

AUTOSTART, VCPUS, MEMORY = "autostart", "vcpus", "memory"


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
    disk = data_disk(machine, settings.data_size)
    return None if disk is None else replace(disk, pool=disk.pool or host.pool)


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
    attributes = {
        **_outside(machine, digest, recorded),
        **inside(machine, digest, sees_inside=sees_inside),
    }
    return lowering.resource(machine, attributes, _place(machine, host, naming))


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
    return found | sizes(machine, recorded)


def image(machine: Machine) -> str:
    """What the system disk is made from."""
    disk = machine.guest.os_disk
    return disk.volume_id or disk.base or ""


def interfaces(machine: Machine) -> str:
    """A digest of the interfaces as they were asked for."""
    found = [asdict(replace(nic, port=None)) for nic in machine.guest.nics]
    for one in found:
        del one["port"]  # a cloud's; what was recorded before there was one stays as it is
    return software.plain_digest(json.dumps(found, sort_keys=True))
