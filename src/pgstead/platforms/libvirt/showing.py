"""What a machine would be begun with, as files to read, without its host wherever possible.

What only the host knows stands there in words.
"""

from __future__ import annotations

from dataclasses import replace

from pgstead.engine.resource import Resource
from pgstead.errors import Unreachable
from pgstead.machine import Disk, Machine, Nic
from pgstead.platforms.guests.hiding import hidden
from pgstead.platforms.libvirt import describing
from pgstead.platforms.libvirt.connection import Host
from pgstead.platforms.libvirt.describing import Parts
from pgstead.platforms.libvirt.domain_xml import (
    DATA_DEVICE,
    OS_DEVICE,
    SEED_DEVICE,
    DomainDisk,
    Wire,
)
from pgstead.platforms.libvirt.drivers import Driver, driver_of
from pgstead.platforms.libvirt.ground import Ground
from pgstead.platforms.libvirt.naming import DATA_SERIAL, OS_SERIAL

PREFIX_LENGTH = "(the prefix length of its network)"
GATEWAY = "(the gateway of its network, if that has one)"

_VIRT_TYPE = 'type: kvm where a guest is seen to run with KVM on the host, else "qemu"'
_CPU = 'CPU: as here with KVM, else "maximum"'
_FORMAT = 'disks: type="raw" where the pool on the host does not keep volumes as files'


def shown(ground: Ground, resource: Resource, *, secrets: bool) -> dict[str, str]:
    """The texts by file name: those of cloud-init, and the domain's XML."""
    machine: Machine = resource.body
    host = ground.host(resource.place)
    nics = _networked(ground, machine, host)
    whole = describing.beginning(ground, host, machine, nics, unknown=PREFIX_LENGTH)
    files = dict(whole.files)
    if not secrets:
        bare = describing.beginning(ground, host, hidden(machine), nics, unknown=PREFIX_LENGTH)
        files["user-data"] = bare.user_data
    found = {f"cloud-init/{name}": text for name, text in files.items()}
    return {**found, "domain.xml": _domain(ground, host, resource, describing.mark(whole))}


def _networked(ground: Ground, machine: Machine, host: Host) -> tuple[Nic, ...]:
    """The interfaces as their networks complete them; in words while the host is down."""
    try:
        return ground.networked(machine, host)
    except Unreachable:
        nics = machine.guest.nics
        return tuple(_guessed(nic, first=number == 0) for number, nic in enumerate(nics))


def _guessed(nic: Nic, *, first: bool) -> Nic:
    leads_out = first and nic.gateway is None and nic.macvtap is None
    return replace(nic, gateway=GATEWAY) if leads_out else nic


def _domain(ground: Ground, host: Host, resource: Resource, mark: str) -> str:
    machine: Machine = resource.body
    driver, place = driver_of(host), resource.place
    wanted = driver.virt_type or ground.settings.virt_type
    pool, name = place["volumes"]["seed"]
    parts = Parts(
        disks=_disks(machine, resource),
        wires=[_wire(nic, host) for nic in machine.guest.nics],
        seed=DomainDisk(pool, name, "raw", SEED_DEVICE, "", path=_path(pool, name)),
        virt_type="kvm" if wanted == "auto" else wanted,
        mark=mark,
    )
    text = driver.xml(describing.domain(ground, resource, parts))
    return _comment(ground, driver) + text


def _comment(ground: Ground, driver: Driver) -> str:
    """What is as here on most hosts, and otherwise on some."""
    if driver.virt_type is not None:
        return ""
    open_type = ground.settings.virt_type == "auto"
    words = [_VIRT_TYPE] if open_type else []
    words += [_CPU] if open_type and ground.settings.cpu is None else []
    lines = "".join(f"  {line}\n" for line in (*words, _FORMAT))
    return f"<!-- What only the host knows:\n{lines}-->\n"


def _disks(machine: Machine, resource: Resource) -> list[DomainDisk]:
    guest, own = machine.guest, resource.place["volumes"]
    disks = [replace(_disk(guest.os_disk, own.get("os"), OS_DEVICE, OS_SERIAL), boot=True)]
    if guest.data_disk is not None:
        data = _disk(guest.data_disk, own.get("data"), DATA_DEVICE, DATA_SERIAL)
        disks.append(replace(data, mount=guest.data_disk.mount))
    return disks


def _disk(disk: Disk, own: list[str] | None, device: str, serial: str) -> DomainDisk:
    """A volume of the stack's own, by pool and name, or one that somebody else made."""
    if own is not None:
        pool, volume = own
        return DomainDisk(pool, volume, "qcow2", device, serial, path=_path(pool, volume))
    given = disk.volume_id or ""
    where, name = f"(the pool of {given})", f"(the name of {given})"
    return DomainDisk(where, name, "(its format)", device, serial, path=f"(the path of {given})")


def _path(pool: str, name: str) -> str:
    return f"(the folder of the pool {pool})/{name}"


def _wire(nic: Nic, host: Host) -> Wire:
    mac = nic.mac or ""
    if nic.macvtap is not None:
        return Wire(mac, macvtap=nic.macvtap)
    if nic.network_id is not None:
        return Wire(mac, network=f"(the name of the network {nic.network_id})")
    return Wire(mac, network=nic.network_name or host.network or "default")
