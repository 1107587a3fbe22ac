"""What a machine is begun with on libvirt, in texts: its first boot, and its domain."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from pgstead.engine.resource import Resource
from pgstead.machine import Machine, Nic
from pgstead.platforms.cloud_init import Access, FirstBoot, first_boot
from pgstead.platforms.guests.lowering import ADMIN, IMAGE, INTERFACES, SOFTWARE
from pgstead.platforms.libvirt.connection import Host
from pgstead.platforms.libvirt.domain_xml import Domain, DomainDisk, Wire, wired
from pgstead.platforms.libvirt.drivers import driver_of
from pgstead.platforms.libvirt.ground import Ground
from pgstead.platforms.libvirt.reaching import way

AGENT = "qemu-guest-agent"

_NOTED = (IMAGE, INTERFACES, ADMIN)
"""What a domain is made from, and does not show: it is written into its metadata."""


def beginning(
    ground: Ground,
    host: Host,
    machine: Machine,
    nics: Sequence[Nic],
    *,
    bindings: Mapping[str, str] = MappingProxyType({}),
    unknown: str | None = None,
) -> FirstBoot:
    """A complete machine's first boot, with what its networks know of its interfaces, `nics`."""
    guest, driver = machine.guest, driver_of(host)
    serial = driver.data_serial if guest.data_disk is not None else None
    return first_boot(
        replace(machine, guest=replace(guest, nics=tuple(nics))),
        _access(ground, host, machine),
        bindings=bindings,
        data_ids=() if serial is None else (f"virtio-{serial}",),
        unknown=unknown,
    )


def _access(ground: Ground, host: Host, machine: Machine) -> Access:
    host_key = ground.keys.host(machine.name)
    shared = all(nic.macvtap for nic in machine.guest.nics)
    entered = way(ground.settings, shared=shared, local=host.is_local)
    return Access(
        authorized_keys=(ground.keys.admin().public,) if entered == "ssh" else (),
        host_key=(host_key.private, host_key.public),
        packages=(AGENT,) if entered == "guest_agent" else (),
    )


def mark(boot: FirstBoot) -> str:
    """A digest that tells one first boot from another.

    It holds the host's private key, so nothing can be guessed from its digest.
    """
    return hashlib.sha256("\0".join(boot.files.values()).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Parts:
    """What a domain is put together from on its host; the system's disk is the first one.

    `mark` is that of its first boot.
    """

    disks: Sequence[DomainDisk]
    wires: Sequence[Wire]
    seed: DomainDisk
    virt_type: str
    mark: str


def domain(ground: Ground, resource: Resource, parts: Parts) -> Domain:
    """The domain of a complete machine."""
    machine: Machine = resource.body
    guest = machine.guest
    return Domain(
        name=str(resource.place["domain"]),
        uuid=str(resource.place["uuid"]),
        title=f"{machine.name} of {ground.naming.stack}, made by pgstead",
        memory=guest.size.memory,
        vcpus=guest.size.vcpus,
        virt_type=parts.virt_type,
        disks=parts.disks,
        wires=parts.wires,
        seed=parts.seed,
        cpu=ground.cpu(parts.virt_type),
        machine_type=ground.settings.machine_type,
        watchdog=guest.watchdog if guest.watchdog != "softdog" else None,
        metadata=_about(ground, resource, parts),
    )


def _about(ground: Ground, resource: Resource, parts: Parts) -> dict[str, Any]:
    machine: Machine = resource.body
    values = resource.values
    return {
        "stack": ground.naming.stack,
        "stack_id": ground.naming.stack_id,
        "machine": machine.name,
        "addresses": [nic.address for nic in machine.guest.nics],
        "user": machine.guest.admin.user,
        "wired": wired(parts.wires),
        "seed": parts.mark,
        **{key: values.get(key) for key in _NOTED},
        **({SOFTWARE: values[SOFTWARE]} if SOFTWARE in values else {}),
    }
