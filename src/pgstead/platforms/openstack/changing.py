"""The steps that change a machine: volumes grow, its flavor changes, its software is pushed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from pgstead.engine.resource import Resource, Step, Steps
from pgstead.errors import PlatformError, Refused
from pgstead.machine import Disk, Machine, OnChange
from pgstead.platforms.guests import lowering
from pgstead.platforms.guests.guest import Guest
from pgstead.platforms.guests.pushing import settle
from pgstead.platforms.guests.updating import Inside
from pgstead.platforms.openstack import groups, lower, ports, servers, volumes
from pgstead.platforms.openstack.ground import Ground
from pgstead.platforms.openstack.servers import Server
from pgstead.platforms.openstack.setting_up import SettingUp, is_set_up
from pgstead.platforms.openstack.volumes import Volume


class Changing:
    """Changes one machine."""

    def __init__(self, ground: Ground, resource: Resource) -> None:
        self.ground, self.resource = ground, resource
        self.machine: Machine = resource.body
        self.name = self.machine.name
        self.inside = Inside(resource, self._guest)

    def steps(self, changed: Mapping[str, OnChange]) -> Steps:
        """What is outside first, then the files, then whatever has to be started again."""
        name = self.name
        if lower.ACCESS in changed:
            yield Step(f"set the security groups of {name}", self._set_access)
        for key, use in ((lowering.OS_DISK, volumes.OS), (lowering.DATA_DISK, volumes.DATA)):
            if key in changed:
                yield Step(f"grow the {use} disk of {name}", partial(self._grow, use))
        if not self.machine.guest.running:
            yield Step(f"shut {name} down", self._stop)
            return
        yield from self._started(changed)

    def _started(self, changed: Mapping[str, OnChange]) -> Steps:
        name = self.name
        software = {key: effect for key, effect in changed.items() if lowering.is_inside(key)}
        if lower.FLAVOR in changed:
            push = partial(self.inside.push_before_restart, software)
            yield Step(f"push files to {name}", push)
            yield Step(f"give {name} another flavor", self._resize)
            yield Step(f"start {name}", self._start)
        elif lowering.POWER in changed:
            yield Step(f"start {name}", self._start)
            if not is_set_up(self._server()):  # it was made, and left off
                yield from SettingUp(self.ground, self.resource, {}).steps()
                return
        elif software:
            yield from self.inside.steps(software)
            return
        else:
            return
        yield Step(f"wait until {name} is ready", self._wait_ready)

    def _set_access(self) -> None:
        groups.ensure(self.ground)
        ports.set_groups(self.ground, self.machine)

    def _grow(self, use: str) -> None:
        """The volume, then what is on it; one that was taken away is given back first.

        Raises `Refused` rather than make it smaller.
        """
        guest, server = self.machine.guest, self._server()
        disk = guest.os_disk if use == volumes.OS else guest.data_disk
        assert disk is not None  # noqa: S101 - a key without a disk there is none
        volume = self._volume(disk, use)
        if server.id not in volume.servers:
            volumes.wait_usable(self.ground, volume)
            servers.attach(self.ground, server, volume.id)
            volume = volumes.wait_usable(self.ground, volume, server.id)
        self._enlarge(volume, disk)
        there = self._guest()
        if not server.is_on or there.reach is None:
            return
        if use == volumes.OS:
            there.grow_root()
        elif disk.mount:
            there.grow(disk.mount)

    def _enlarge(self, volume: Volume, disk: Disk) -> None:
        assert disk.size is not None  # noqa: S101 - a key without a size there is none
        if disk.size < volume.size:
            raise Refused(
                f"the {disk.name} disk of {self.name} has {volume.size} GiB and cannot shrink to"
                f" {disk.size} GiB without losing what is on it",
                hint=f"set its size to {volume.size} GiB",
            )
        if disk.size > volume.size:
            volumes.extend(self.ground, volume, disk.size)

    def _volume(self, disk: Disk, use: str) -> Volume:
        if disk.volume_id is not None:
            return volumes.existing(self.ground, disk.volume_id)
        found = volumes.find(self.ground, self.name, use)
        if found is None:
            raise PlatformError(f"the {use} volume of {self.name} is gone from the cloud")
        return found

    def _resize(self) -> None:
        flavor = self.ground.catalog.flavor(self.machine.guest.cloud.flavor or "")
        servers.resize(self.ground, self._server(), flavor.id, flavor.name)

    def _start(self) -> None:
        servers.start(self.ground, self._server())

    def _stop(self) -> None:
        servers.stop(self.ground, self._server())

    def _wait_ready(self) -> None:
        guest = self._guest()
        guest.wait_reached(self.ground.settings.boot_deadline)
        settle(guest, self.resource)
        guest.wait_ready(self.machine.software.services)

    def _server(self) -> Server:
        return servers.require(self.ground, self.name)

    def _guest(self) -> Guest:
        return self.ground.guest(self.machine)
