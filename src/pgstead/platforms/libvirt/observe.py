"""What is there of the machines: their domains, disks, interfaces, and what is inside."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import libvirt

from pgstead.engine.resource import Observed, Present, Recorded, Resource, Unknown, Value
from pgstead.errors import PgsteadError, PlatformError
from pgstead.machine import Machine
from pgstead.platforms.base import Digest
from pgstead.platforms.guests import inside, lowering
from pgstead.platforms.libvirt import data, domains, lower, metadata, volumes
from pgstead.platforms.libvirt.connection import Host, HostDown
from pgstead.platforms.libvirt.domain_xml import DATA_DEVICE, OS_DEVICE, parsed, wired, wires
from pgstead.platforms.libvirt.errors import explained
from pgstead.platforms.libvirt.ground import Ground
from pgstead.platforms.software import STOPPED

WORKERS = 8
KIB_PER_MIB = 1024

Values = dict[str, Value | Unknown]


def observe(
    ground: Ground, targets: Mapping[str, Resource | Recorded], digest: Digest
) -> dict[str, Observed]:
    """Each machine; several at a time, since most of it is waiting for answers."""
    if not targets:
        return {}
    with ThreadPoolExecutor(min(WORKERS, len(targets)), thread_name_prefix="observe") as pool:
        answers = pool.map(lambda target: _machine(ground, target, digest), targets.values())
        return dict(zip(targets, answers, strict=True))


def _machine(ground: Ground, target: Resource | Recorded, digest: Digest) -> Observed:
    """One machine; Unknown where its host is down."""
    try:
        place = _place(ground, target)
        host = ground.host(place)
        domain = domains.find(host, str(place["uuid"]))
        if domain is None:
            return None
        with explained(f"state of {place['domain']}", host.name):
            return _Look(ground, host, domain, target, place).present(digest)
    except PlatformError as error:
        return Unknown(error.message, down=isinstance(error, HostDown))


def _place(ground: Ground, target: Resource | Recorded) -> Mapping[str, Any]:
    """Where it is: as recorded, for that is where it was made."""
    if isinstance(target, Recorded):
        return target.place
    known = ground.recorded().get(target.address)
    return known.place if known and known.place.get("host") else target.place


class _Look:
    """A look at one machine that has a domain."""

    def __init__(
        self,
        ground: Ground,
        host: Host,
        domain: Any,
        target: Resource | Recorded,
        place: Mapping[str, Any],
    ) -> None:
        self.ground, self.host, self.domain = ground, host, domain
        self.target, self.place = target, place
        self.wanted = dict(target.values)
        self.on = domains.is_on(domain)
        self.live = parsed(domain.XMLDesc())
        self.next = parsed(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
        self.about = metadata.of_tree(self.next)
        self.notes: list[str] = []

    def present(self, digest: Digest) -> Present:
        values = {**self._outside(), **self._disks(), **self._inside(digest)}
        if self.on and lowering.SOFTWARE in self.wanted:
            self.notes.append(
                "is not looked into (reach: none): whether its services run, and its files are as"
                " they were made, is unknown"
            )
        return Present(values, tuple(self.notes))

    def _outside(self) -> Values:
        found: Values = {
            lowering.POWER: lowering.ON if self.on else lowering.OFF,
            lower.AUTOSTART: bool(self.domain.autostart()),
            lower.VCPUS: self._size(lower.VCPUS, "vcpu", 1),
            lower.MEMORY: self._size(lower.MEMORY, "memory", KIB_PER_MIB),
            lowering.IMAGE: self._noted(lowering.IMAGE),
            lowering.ADMIN: self._noted(lowering.ADMIN),
            lowering.INTERFACES: self._interfaces(),
        }
        if lowering.SOFTWARE in self.wanted or lowering.SOFTWARE in self.about:
            found[lowering.SOFTWARE] = self._noted(lowering.SOFTWARE)
        return found

    def _noted(self, key: str) -> Value:
        value = self.about.get(key)
        return value if isinstance(value, str) else None

    def _interfaces(self) -> Value:
        """What they were made from, as long as they are as they were made."""
        now = wired(wires(self.next))
        return self._noted(lowering.INTERFACES) if now == self.about.get("wired") else f"now {now}"

    def _size(self, key: str, element: str, unit: int) -> int:
        """As the guest has it; where its next start would change that, whichever is wrong."""
        now = int(self.live.findtext(element) or 0) // unit
        then = int(self.next.findtext(element) or 0) // unit
        return then if now == self.wanted.get(key) else now

    def _disks(self) -> Values:
        guests = ((lowering.OS_DISK, "os", OS_DEVICE), (lowering.DATA_DISK, "data", DATA_DEVICE))
        found: Values = {}
        for key, use, device in guests:
            if key in self.wanted:
                value = self._disk(key, use, device)
                if value is not None:
                    found[key] = value
        return found

    def _disk(self, key: str, use: str, device: str) -> Value | Unknown:
        """Its size in GiB, rounded up; one that is larger than wanted is noted and left."""
        try:
            volume = self._volume(use, device)
        except PgsteadError as error:
            return Unknown(error.message)
        if volume is None:
            return None
        gib = -(-volumes.capacity(volume) // volumes.GIB)
        wanted, recorded = self.wanted[key], self._recorded(key)
        if isinstance(wanted, int) and gib > wanted and recorded in (None, wanted):
            self.notes.append(f"its {use} disk has {gib} GiB, more than {wanted}: it is left so")
            return wanted
        return gib

    def _recorded(self, key: str) -> Value:
        known = self.ground.recorded().get(self.target.address)
        return known.values.get(key) if known else None

    def _volume(self, use: str, device: str) -> volumes.Volume | None:
        own = data.own(self.host, self.place, use)
        if own is not None:
            return volumes.find(self.host, *own)
        machine = self.target.body if isinstance(self.target, Resource) else None
        if not isinstance(machine, Machine):
            return None
        disk = machine.guest.os_disk if device == OS_DEVICE else machine.guest.data_disk
        if disk is None or disk.volume_id is None:
            return None
        return volumes.existing(self.host, disk.pool or self.host.pool, disk.volume_id)

    def _inside(self, digest: Digest) -> Values:
        keys = [key for key in self.wanted if lowering.is_inside(key)]
        if not keys:
            return {}
        if not self.on:
            return {key: _of_one_that_is_off(key) for key in keys}
        user = str(self.about.get("user") or self.ground.settings.admin.user)
        machine, address = str(self.place["machine"]), str(self.place["address"])
        reach = self.ground.reach(machine, address, user, self.domain)
        if reach is None:
            return dict.fromkeys(keys, Unknown("there is no way into the machine (reach: none)"))
        gone = inside.unwanted(self.target, self.ground.recorded().get(self.target.address))
        return inside.values(reach, self.target, [*keys, *gone], digest)


def _of_one_that_is_off(key: str) -> Value | Unknown:
    if key.startswith("running:"):
        return STOPPED
    return Unknown("the machine is off")
