"""A machine becomes what it is in a cloud: complete, and a resource to compare."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

from pgstead.engine.resource import Attribute, Recorded, Resource
from pgstead.errors import PlatformError
from pgstead.machine import Cloud, Disk, Machine, Nic, OnChange
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
from pgstead.platforms.openstack import addresses, groups
from pgstead.platforms.openstack.ground import Ground
from pgstead.platforms.software import plain_digest
from pgstead.spec.openstack import OpenStackPlatform

FLAVOR, ZONE, KEY_PAIR, ACCESS = "flavor", "zone", "key_pair", "access"


def complete(machine: Machine, settings: OpenStackPlatform) -> Machine:
    """The machine with real paths, and with the platform's own where its guest names nothing."""
    real = conventional(machine)
    guest = real.guest
    cloud = _cloud(guest.cloud, settings)
    whole = replace(
        guest,
        os_disk=_os_disk(guest.os_disk, settings, cloud),
        data_disk=data_disk(real, settings.data_size),
        nics=guest.nics or (Nic(machine.address),),
        cloud=cloud,
        admin=replace(
            guest.admin,
            user=guest.admin.user or settings.admin.user,
            public_key=guest.admin.public_key or settings.admin.public_key,
        ),
    )
    return replace(real, guest=whole)


def _cloud(given: Cloud, settings: OpenStackPlatform) -> Cloud:
    on_volume = given.boot_from_volume
    return replace(
        given,
        flavor=given.flavor or settings.flavor,
        key_pair=given.key_pair or settings.key_pair,
        boot_from_volume=settings.boot_from_volume if on_volume is None else on_volume,
        volume_type=given.volume_type or settings.volume_type,
    )


def _os_disk(disk: Disk, settings: OpenStackPlatform, cloud: Cloud) -> Disk:
    if disk.volume_id is not None or not cloud.boot_from_volume:
        return replace(disk, base=disk.base or settings.image, size=None)
    return replace(disk, base=disk.base or settings.image, size=disk.size or settings.os_size)


def check(machine: Machine, ground: Ground, recorded: Recorded | None) -> None:
    """Raise `PlatformError` if the cloud lacks what a complete machine names.

    What a machine was made from may be gone from the cloud since: nobody needs it any more.
    """
    guest, catalog = machine.guest, ground.catalog
    made = recorded.values if recorded is not None and recorded.status == "ready" else {}
    flavor = _required(machine, guest.cloud.flavor, "flavor")
    if made.get(FLAVOR) != flavor:
        catalog.flavor(flavor)
    if guest.os_disk.volume_id is None:
        base = _required(machine, guest.os_disk.base, "image")
        if made.get(IMAGE) != image(machine):
            catalog.image(base)
    if guest.cloud.key_pair is not None and made.get(KEY_PAIR) != guest.cloud.key_pair:
        catalog.key_pair(guest.cloud.key_pair)
    if guest.cloud.server_group is not None and not made:
        catalog.server_group(guest.cloud.server_group)
    for nic in guest.nics:
        _check_nic(machine, nic, ground)


def _check_nic(machine: Machine, nic: Nic, ground: Ground) -> None:
    if nic.port is not None and nic.port.existing is not None:
        ground.catalog.port(nic.port.existing)
        return
    addresses.check(ground.subnet_of(nic), nic.address, machine.name)
    for group in ground.given_groups(nic) or ():
        ground.catalog.security_group(group)


def _required(machine: Machine, value: str | None, what: str) -> str:
    if value is None:
        raise PlatformError(
            f"{machine.name} has no {what}",
            hint=f"name one, by id or name, in platform.{what} or with the module; see"
            f" `openstack {what} list`",
        )
    return value


def resource(
    machine: Machine,
    ground: Ground,
    digest: Digest,
    *,
    zone: str | None,
    recorded: Recorded | None,
) -> Resource:
    """The resource of a complete machine."""
    attributes = {
        **_outside(machine, ground, digest, recorded),
        **inside(machine, digest, sees_inside=ground.reach_of is not None),
    }
    return lowering.resource(machine, attributes, _place(machine, ground, zone))


def _place(machine: Machine, ground: Ground, zone: str | None) -> dict[str, Any]:
    """Where it is found, and how it is entered."""
    return {
        "machine": machine.name,
        "server": ground.naming.server(machine.name),
        "address": machine.address,
        "user": machine.guest.admin.user,
        **({"zone": zone} if zone else {}),
    }


def _outside(
    machine: Machine, ground: Ground, digest: Digest, recorded: Recorded | None
) -> dict[str, Attribute]:
    guest, cloud = machine.guest, machine.guest.cloud
    found = {
        IMAGE: Attribute(image(machine), OnChange.REPLACE, "image"),
        INTERFACES: Attribute(
            interfaces(machine), OnChange.REPLACE, "network interfaces", hidden=True
        ),
        ADMIN: Attribute(admin(machine, digest), OnChange.REPLACE, "first user", hidden=True),
        FLAVOR: Attribute(_flavor(machine, ground, recorded), OnChange.RESTART, "flavor"),
        POWER: Attribute(ON if guest.running else OFF, OnChange.RESTART, "power"),
    }
    if cloud.key_pair is not None:
        found[KEY_PAIR] = Attribute(cloud.key_pair, OnChange.REPLACE, "key pair")
    if cloud.availability_zone is not None:
        found[ZONE] = Attribute(cloud.availability_zone, OnChange.REPLACE, "availability zone")
    if (access := groups.desired(ground, machine)) is not None:
        found[ACCESS] = Attribute(access, OnChange.RELOAD, "security groups", hidden=True)
    return found | sizes(machine, recorded)


def _flavor(machine: Machine, ground: Ground, recorded: Recorded | None) -> str:
    """The flavor's name, as servers show it."""
    wanted = machine.guest.cloud.flavor or ""
    if recorded is not None and recorded.values.get(FLAVOR) == wanted:
        return wanted
    return ground.catalog.flavor(wanted).name


def image(machine: Machine) -> str:
    """What the system comes from, by the stack file's own words.

    An image that is put in the place of another of its name does not change what was made.
    """
    disk = machine.guest.os_disk
    if disk.volume_id is not None:
        return f"volume {disk.volume_id}"
    return f"{disk.base} on a volume" if machine.guest.cloud.boot_from_volume else str(disk.base)


def interfaces(machine: Machine) -> str:
    """A digest of the interfaces as they were asked for; their security groups can change."""
    found = [
        asdict(replace(nic, port=replace(nic.port, security_groups=None) if nic.port else None))
        for nic in machine.guest.nics
    ]
    return plain_digest(json.dumps(found, sort_keys=True))


def zones(machines: Iterable[Machine], placed: Mapping[str, str]) -> Mapping[str, str | None]:
    """Per machine, the zone that it is asked for in: its own, or the one it was spread to."""
    return {one.name: one.guest.cloud.availability_zone or placed.get(one.name) for one in machines}
