"""Virtual machines: volumes are disks, and the first boot is told by a disk in a drive."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import libvirt

from pgstead.errors import PlatformError
from pgstead.machine import Guest
from pgstead.platforms.libvirt import domains, volumes
from pgstead.platforms.libvirt.connection import Host
from pgstead.platforms.libvirt.console import Console
from pgstead.platforms.libvirt.domain_xml import SEED_DEVICE, Domain, domain_xml, parsed, sources
from pgstead.platforms.libvirt.errors import explained
from pgstead.platforms.libvirt.naming import DATA_SERIAL
from pgstead.platforms.libvirt.seed import seed_image
from pgstead.platforms.libvirt.volumes import Volume


class Qemu:
    """Implements `drivers.base.Driver`."""

    virt_type: str | None = None
    own_kernel = True
    data_serial: str | None = DATA_SERIAL

    def fit(self, guest: Guest) -> Guest:
        """As it is: a virtual machine can have everything."""
        return guest

    def upload_image(self, host: Host, pool: str, file: Path, suffix: str) -> Volume:
        """See `volumes.upload_image`."""
        return volumes.upload_image(host, pool, file, suffix)

    def clone(self, host: Host, pool: str, name: str, base: Volume, size: int | None) -> Volume:
        """See `volumes.clone`."""
        return volumes.clone(host, pool, name, base, size)

    def make(self, host: Host, pool: str, name: str, size: int | None) -> Volume:
        """See `volumes.make`. Raises `PlatformError` without a size."""
        if size is None:
            raise PlatformError(f"the size of the volume {name} is not known")
        return volumes.make(host, pool, name, size)

    def upload_seed(self, host: Host, pool: str, name: str, files: Mapping[str, str]) -> Volume:
        """An ISO image, which cloud-init finds by its label."""
        return volumes.upload(host, pool, name, seed_image(files))

    def xml(self, domain: Domain) -> str:
        """See `domain_xml`."""
        return domain_xml(domain)

    def start(self, host: Host, domain: Any) -> Console:
        """Paused first, for a console that is open from the first instruction on."""
        with explained(f"start of {domain.name()}", host.name):
            domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
            console = Console(host.connection, domain)
            domain.resume()
            return console

    def has_seed(self, tree: Element) -> bool:
        """Whether there is a disk in its drive."""
        return bool(sources(tree).get(SEED_DEVICE))

    def eject(self, host: Host, domain: Any) -> None:
        """Empty the drive."""
        xml = (
            "<disk type='file' device='cdrom'><driver name='qemu' type='raw'/>"
            f"<target dev='{SEED_DEVICE}' bus='scsi'/><readonly/></disk>"
        )
        with explained(f"ejection of the first boot's disk of {domain.name()}", host.name):
            if domains.is_on(domain) and self.has_seed(parsed(domain.XMLDesc())):
                # Forced: a guest that has it mounted has no more use of it.
                flags = libvirt.VIR_DOMAIN_AFFECT_LIVE | libvirt.VIR_DOMAIN_DEVICE_MODIFY_FORCE
                domain.updateDeviceFlags(xml, flags)
            if self.has_seed(domains.config(domain)):
                domain.updateDeviceFlags(xml, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
