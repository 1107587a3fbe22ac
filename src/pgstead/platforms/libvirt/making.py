"""The steps that make a machine. Each can be run again at any point, by another process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import libvirt

from pgstead.engine.resource import Resource, Step, Steps
from pgstead.errors import PlatformError, Refused
from pgstead.machine import Disk, Machine
from pgstead.platforms.cloud_init import FirstBoot
from pgstead.platforms.guests.lowering import DATA_DISK
from pgstead.platforms.guests.pushing import settle
from pgstead.platforms.libvirt import data, describing, domains, metadata, networks, volumes
from pgstead.platforms.libvirt.connection import Host
from pgstead.platforms.libvirt.console import Console
from pgstead.platforms.libvirt.describing import Parts
from pgstead.platforms.libvirt.domain_xml import (
    DATA_DEVICE,
    OS_DEVICE,
    SEED_DEVICE,
    Domain,
    DomainDisk,
)
from pgstead.platforms.libvirt.drivers import Driver, driver_of
from pgstead.platforms.libvirt.errors import explained
from pgstead.platforms.libvirt.ground import Ground
from pgstead.platforms.libvirt.naming import DATA_SERIAL, OS_SERIAL
from pgstead.platforms.libvirt.volumes import Volume


class Making:
    """Makes one machine on its host."""

    def __init__(self, ground: Ground, resource: Resource, bindings: Mapping[str, str]) -> None:
        self.ground, self.resource, self.bindings = ground, resource, bindings
        self.machine: Machine = resource.body
        self.place = resource.place
        self.uuid = str(self.place["uuid"])
        self.domain_name = str(self.place["domain"])
        self._console: Console | None = None

    @property
    def host(self) -> Host:
        """Where it is made."""
        return self.ground.host(self.place)

    @property
    def driver(self) -> Driver:
        """What its kind of machine does its own way."""
        return driver_of(self.host)

    def steps(self) -> Steps:
        """Disks, definition, start, first boot, and what is left of it."""
        name, on = self.machine.name, f"on {self.place['host']}"
        yield Step(f"make the disks of {name} {on}", self.make_disks)
        yield Step(f"define {name} {on}", self.define)
        if not self.machine.guest.running:
            return
        yield Step(f"start {name}", self.start)
        yield Step(f"wait for the first boot of {name}", self.wait_first_boot)
        yield Step(f"remove the first boot's disk of {name}", self.remove_seed)
        yield Step(f"wait until {name} is ready", self.wait_ready)

    # -- disks

    def make_disks(self) -> None:
        """The system disk and the data disk, where they are not there yet."""
        self.ground.prepare(self.host)
        macs = {nic.mac for nic in self.machine.guest.nics if nic.mac}
        domains.check_free(self.host, self.domain_name, self.uuid, macs)
        for nic in self.machine.guest.nics:
            networks.wire(self.host, nic)
        if self._is_set_up():
            return
        self._start_over_if_changed()
        self._system_disk()
        self._data_disk()

    def _start_over_if_changed(self) -> None:
        """Another first boot than the one that was begun: it begins on a new system disk."""
        domain = domains.find(self.host, self.uuid)
        if domain is None or metadata.of_domain(domain).get("seed") == self._seed_mark():
            return
        if domains.is_on(domain):
            domains.cut_off(self.host, domain)
        domains.undefine(self.host, domain)
        self._remove_own("os")

    def _remove_own(self, use: str) -> None:
        if use in self.place["volumes"]:
            volumes.remove(self.host, *self.place["volumes"][use])

    def _system_disk(self) -> Volume:
        disk = self.machine.guest.os_disk
        if disk.volume_id is not None:
            return self._existing(disk)
        pool, name = self.place["volumes"]["os"]
        found = volumes.find(self.host, pool, name)
        if found is not None:
            return found
        return self.driver.clone(self.host, pool, name, self._base(disk, pool), disk.size)

    def _base(self, disk: Disk, pool: str) -> Volume:
        if disk.base is None:
            raise PlatformError(
                f"{self.machine.name} has no image to be made from",
                hint="give platform.image, or volume_id with the module",
            )
        local = Path(disk.base)
        if self.host.is_local or not local.is_file():
            try:
                return volumes.existing(self.host, pool, disk.base)
            except PlatformError:
                if not local.is_file():
                    raise
        with self.host.making:
            suffix = self.ground.naming.image_suffix
            return self.driver.upload_image(self.host, pool, local, suffix)

    def _data_disk(self) -> Volume | None:
        disk = self.machine.guest.data_disk
        if disk is None:
            return None
        if disk.volume_id is not None:
            return self._existing(disk)
        own = data.own(self.host, self.place, data.DATA)
        assert own is not None  # noqa: S101 - `lower` names one wherever none is given
        pool, name = own
        found = volumes.find(self.host, pool, name)
        if found is not None:
            return found
        self._refuse_lost_data(f"{pool}/{name}")
        return self.driver.make(self.host, pool, name, disk.size)

    def _refuse_lost_data(self, volume: str) -> None:
        """A member's data comes from the others; that of a server without any from nowhere."""
        known = self.ground.recorded().get(self.resource.address)
        # Its values are those of when it was ready, whatever is done to it now.
        if known is not None and DATA_DISK in known.values and self.resource.only_copy:
            raise Refused(
                f"the data disk of {self.machine.name} ({volume}) is gone, and with it the only"
                " copy of its data",
                hint="put the volume back, or remove the module, run up, and add it again",
            )

    def _existing(self, disk: Disk) -> Volume:
        assert disk.volume_id is not None  # noqa: S101 - the callers looked
        return volumes.existing(self.host, disk.pool or self.host.pool, disk.volume_id)

    # -- definition

    def define(self) -> None:
        """The first boot's disk and the domain, unless the machine has been set up already."""
        if self._is_set_up():
            return
        domain = domains.find(self.host, self.uuid)
        if domain is not None and metadata.of_domain(domain).get("seed") == self._seed_mark():
            return
        boot = self._first_boot()
        pool, name = self.place["volumes"]["seed"]
        seed = self.driver.upload_seed(self.host, pool, name, boot.files)
        xml = self.driver.xml(self._domain(seed))
        with explained(f"definition of {self.domain_name}", self.host.name):
            made = self.host.connection.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
            made.setAutostart(int(self.machine.guest.autostart))

    def _domain(self, seed: Volume) -> Domain:
        host = self.host
        parts = Parts(
            disks=self._disks(),
            wires=[networks.wire(host, nic) for nic in self.machine.guest.nics],
            seed=DomainDisk(seed.pool, seed.name, seed.format, SEED_DEVICE, "", path=seed.path),
            virt_type=self.ground.virt_type(host),
            mark=self._seed_mark(),
        )
        return describing.domain(self.ground, self.resource, parts)

    def _disks(self) -> list[DomainDisk]:
        """The system's first."""
        found, disk = self._system_disk(), self.machine.guest.data_disk
        disks = [_disk(found, OS_DEVICE, OS_SERIAL, boot=True)]
        extra = self._data_disk()
        if disk is not None and extra is not None:
            disks.append(_disk(extra, DATA_DEVICE, DATA_SERIAL, mount=disk.mount))
        return disks

    def _first_boot(self) -> FirstBoot:
        nics = self.ground.networked(self.machine, self.host)
        return describing.beginning(
            self.ground, self.host, self.machine, nics, bindings=self.bindings
        )

    def _seed_mark(self) -> str:
        return describing.mark(self._first_boot())

    # -- first boot

    def start(self) -> None:
        """Start it with its console open, so that nothing it says is lost."""
        domain = self.ground.domain(self.place)
        if domains.is_on(domain):
            domains.start(self.host, domain)
            return
        self._console = self.driver.start(self.host, domain)

    def wait_first_boot(self) -> None:
        """Until cloud-init has ended well; what it says when it has not is told."""
        if self._is_set_up():
            return
        domain = self.ground.domain(self.place)
        console = self._console or Console(self.host.connection, domain)
        guest = self.ground.guest(self.resource, domain)
        try:
            guest.wait_booted(console, self.ground.settings.boot_deadline)
            guest.wait_first_boot(console, self.ground.settings.cloud_init_deadline)
        finally:
            console.close()
            self._console = None

    def remove_seed(self) -> None:
        """Take the first boot's disk out of its drive and delete it: it holds secrets."""
        domain = self.ground.domain(self.place)
        self.driver.eject(self.host, domain)
        volumes.remove(self.host, *self.place["volumes"]["seed"])

    def wait_ready(self) -> None:
        """Until it answers and its services are ready, each as it should be."""
        guest = self.ground.guest(self.resource)
        guest.wait_reached(self.ground.settings.boot_deadline)
        settle(guest, self.resource)
        guest.wait_ready(self.machine.software.services)

    def _is_set_up(self) -> bool:
        """Whether it is there and its first boot has ended: its disk is gone from the drive."""
        domain = domains.find(self.host, self.uuid)
        return domain is not None and not self.driver.has_seed(domains.config(domain))


def _disk(
    volume: Volume, device: str, serial: str, *, boot: bool = False, mount: str | None = None
) -> DomainDisk:
    return DomainDisk(
        volume.pool, volume.name, volume.format, device, serial, boot, volume.path, mount
    )
