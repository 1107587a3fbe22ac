"""The steps that change a machine: disks grow, it is restarted, its software is pushed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import libvirt

from pgstead.engine.resource import Resource, Step, Steps, Unknown
from pgstead.errors import NotReady, Refused
from pgstead.machine import Disk, Machine, OnChange, significant
from pgstead.platforms.libvirt import data, domains, inside, installing, lower, volumes
from pgstead.platforms.libvirt.domain_xml import DATA_DEVICE, OS_DEVICE, resized
from pgstead.platforms.libvirt.errors import explained
from pgstead.platforms.libvirt.ground import Ground
from pgstead.platforms.libvirt.guest import Guest
from pgstead.platforms.libvirt.volumes import GIB, Volume
from pgstead.platforms.software import STOPPED, Actions, actions

SHUTDOWN_SECONDS = 120.0
"""For a guest to end, besides the time that its services may take to stop."""


class Changing:
    """Changes one machine."""

    def __init__(self, ground: Ground, resource: Resource) -> None:
        self.ground, self.resource = ground, resource
        self.machine: Machine = resource.body
        self.host = ground.host(resource.place)

    def steps(self, changed: Mapping[str, OnChange]) -> Steps:
        """What is outside first, then the files, then whatever has to be started again."""
        name = self.machine.name
        if lower.AUTOSTART in changed:
            yield Step(f"set whether {name} starts with its host", self._autostart)
        for key in (lower.OS_DISK, lower.DATA_DISK):
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
        software = {key: effect for key, effect in changed.items() if key not in lower.OWN}
        if {lower.VCPUS, lower.MEMORY}.intersection(changed):
            yield Step(f"set processors and memory of {name}", self._resize)
            yield Step(f"push files to {name}", partial(self._push_before_restart, software))
            yield Step(f"shut {name} down", self._shut_down)
            yield Step(f"start {name}", self._start)
        elif lower.POWER in changed:
            yield Step(f"start {name}", self._start)
        elif software:
            yield from self._software(software)
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
        is_data = key == lower.DATA_DISK
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

    # -- inside

    def _software(self, changed: Mapping[str, OnChange]) -> Steps:
        name = self.machine.name
        running = self._running()
        stopped = frozenset(one for one, value in running.items() if value == STOPPED)
        todo = actions(self.machine.software, changed, stopped)
        yield Step(f"push {_what(todo)} to {name}", partial(self._push, todo, changed))
        for service in todo.reload:
            yield Step(f"reload {service} on {name}", partial(self._reload, service))
        for service in (*todo.start, *todo.restart):
            word = "start" if service in todo.start else "restart"
            yield Step(f"{word} {service} on {name}", partial(self._restart, service))

    def _push(self, todo: Actions, changed: Mapping[str, OnChange]) -> None:
        push(self._guest(), todo, changed)

    def _push_before_restart(self, changed: Mapping[str, OnChange]) -> None:
        """What is read at the start that follows; a machine that is off gets it after that."""
        guest = self._guest()
        if changed and guest.answers():
            push(guest, actions(self.machine.software, changed), changed)

    def _reload(self, service: str) -> None:
        self._guest().reload(service)

    def _restart(self, service: str) -> None:
        self._guest().restart(service)

    def _running(self) -> dict[str, Any]:
        keys = [key for key in self.resource.attributes if key.startswith("running:")]
        guest = self._guest()
        if guest.reach is None:
            return {}
        found = inside.values(guest.reach, self.resource, keys, str)
        return {key.partition(":")[2]: value for key, value in found.items()}

    def _guest(self) -> Guest:
        return self.ground.guest(self.resource)


def _what(todo: Actions) -> str:
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
    keys = [key for key in resource.attributes if key not in lower.OWN]
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


def shutdown_seconds(machine: Machine) -> float:
    """How long a machine may take to shut down cleanly."""
    slowest = max((one.stop_seconds for one in machine.software.services), default=0)
    return SHUTDOWN_SECONDS + slowest
