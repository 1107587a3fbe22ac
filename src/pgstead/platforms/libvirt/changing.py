"""The steps that change a machine: disks grow, it is restarted, its software is pushed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import libvirt

from pgstead.engine.resource import Resource, Step, Steps
from pgstead.errors import Refused
from pgstead.machine import Disk, Machine, OnChange
from pgstead.platforms.guests import lowering
from pgstead.platforms.guests.pushing import settle, shutdown_seconds
from pgstead.platforms.guests.updating import Inside
from pgstead.platforms.libvirt import data, domains, lower, volumes
from pgstead.platforms.libvirt.domain_xml import DATA_DEVICE, OS_DEVICE, resized
from pgstead.platforms.libvirt.errors import explained
from pgstead.platforms.libvirt.ground import Ground
from pgstead.platforms.libvirt.guest import Guest
from pgstead.platforms.libvirt.volumes import GIB, Volume


class Changing:
    """Changes one machine."""

    def __init__(self, ground: Ground, resource: Resource) -> None:
        self.ground, self.resource = ground, resource
        self.machine: Machine = resource.body
        self.host = ground.host(resource.place)
        self.inside = Inside(resource, self._guest)

    def steps(self, changed: Mapping[str, OnChange]) -> Steps:
        """What is outside first, then the files, then whatever has to be started again."""
        name = self.machine.name
        if lower.AUTOSTART in changed:
            yield Step(f"set whether {name} starts with its host", self._autostart)
        for key in (lowering.OS_DISK, lowering.DATA_DISK):
            if key in changed:
                yield Step(
                    f"grow the {key.partition(':')[2]} disk of {name}", partial(self._grow, key)
                )
        if not self.machine.guest.running:
            yield Step(f"shut {name} down", self._shut_down)
            return
        yield from self._started(changed)

    def _started(self, changed: Mapping[str, OnChange]) -> Steps:
        name = self.machine.name
        software = {key: effect for key, effect in changed.items() if lowering.is_inside(key)}
        if {lower.VCPUS, lower.MEMORY}.intersection(changed):
            yield Step(f"set processors and memory of {name}", self._resize)
            yield Step(f"push files to {name}", partial(self.inside.push_before_restart, software))
            yield Step(f"shut {name} down", self._shut_down)
            yield Step(f"start {name}", self._start)
        elif lowering.POWER in changed:
            yield Step(f"start {name}", self._start)
        elif software:
            yield from self.inside.steps(software)
            return
        yield Step(f"wait until {name} is ready", self._wait_ready)

    # -- from outside

    def _autostart(self) -> None:
        domain = self.ground.domain(self.resource.place)
        with explained(f"autostart of {self.machine.name}", self.host.name):
            domain.setAutostart(int(self.machine.guest.autostart))

    def _resize(self) -> None:
        """In its definition; takes effect at its next start."""
        domain = self.ground.domain(self.resource.place)
        size = self.machine.guest.size
        inactive = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
        with explained(f"size of {self.machine.name}", self.host.name):
            xml = resized(domain.XMLDesc(inactive), vcpus=size.vcpus, memory=size.memory)
            self.host.connection.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)

    def _grow(self, key: str) -> None:
        """The disk, then what is on it. Never smaller: raises `Refused`."""
        is_data = key == lowering.DATA_DISK
        guest = self.machine.guest
        disk = guest.data_disk if is_data else guest.os_disk
        assert disk is not None  # noqa: S101 - a key without a disk there is none
        assert disk.size is not None  # noqa: S101 - as above
        volume = self._volume(disk, "data" if is_data else "os")
        grow_volume(self, volume, disk, DATA_DEVICE if is_data else OS_DEVICE)
        if not domains.is_on(self.ground.domain(self.resource.place)):
            return
        there = self._guest()
        if there.reach is None:
            return
        if not is_data:
            there.grow_root()
        elif disk.mount:
            there.grow(disk.mount)

    def _volume(self, disk: Disk, use: str) -> Volume:
        if disk.volume_id is not None:
            return volumes.existing(self.host, disk.pool or self.host.pool, disk.volume_id)
        own = data.own(self.host, self.resource.place, use)
        assert own is not None  # noqa: S101 - `lower` names one wherever none is given
        return volumes.existing(self.host, *own)

    def _start(self) -> None:
        domains.start(self.host, self.ground.domain(self.resource.place))

    def _shut_down(self) -> None:
        domain = self.ground.domain(self.resource.place)
        if domains.is_on(domain):
            domains.shut_down(self.host, domain, shutdown_seconds(self.machine))

    def _wait_ready(self) -> None:
        guest = self._guest()
        guest.wait_reached(self.ground.settings.boot_deadline)
        settle(guest, self.resource)
        guest.wait_ready(self.machine.software.services)

    def _guest(self) -> Guest:
        return self.ground.guest(self.resource)


def grow_volume(change: Changing, volume: Volume, disk: Disk, device: str) -> None:
    """Make a volume as large as its disk shall be. Raises `Refused` if it is larger."""
    assert disk.size is not None  # noqa: S101 - the caller looked
    wanted = disk.size * GIB
    has = volumes.capacity(volume)
    if wanted < has:
        raise Refused(
            f"the {disk.name} disk of {change.machine.name} has {has / GIB:g} GiB and cannot"
            f" shrink to {disk.size} GiB without losing what is on it",
            hint=f"set its size to {-(-has // GIB)} GiB",
        )
    if wanted == has:
        return
    domain = change.ground.domain(change.resource.place)
    with explained(f"growth of {volume.name}", change.host.name):
        if domains.is_on(domain):
            domain.blockResize(device, wanted, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)
        else:
            volume.handle.resize(wanted, 0)
