"""Containers: volumes are folders, and all machines share their host's kernel.

A machine's system is the image's folder with a folder of its own laid over it (overlayfs). The
container's first process lays it there itself, so that nothing is mounted on the host, and a
machine that starts with its host needs nobody's help.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import libvirt

from pgstead.errors import PlatformError
from pgstead.machine import Disk, Guest
from pgstead.platforms.libvirt import domains, folders, volumes
from pgstead.platforms.libvirt.connection import Host
from pgstead.platforms.libvirt.console import Console
from pgstead.platforms.libvirt.domain_xml import Domain
from pgstead.platforms.libvirt.drivers import rootfs
from pgstead.platforms.libvirt.errors import explained
from pgstead.platforms.libvirt.metadata import URI, escaped
from pgstead.platforms.libvirt.volumes import Volume
from pgstead.render import render

PACKAGE = "pgstead.platforms.libvirt.drivers"
BASE, UPPER, WORK = "base", "upper", "work"
"""In the folder of a machine's system: a link to the image, what was changed, overlayfs's own."""

SEED = f"{rootfs.MOUNTS}/seed"


class Lxc:
    """Implements `drivers.base.Driver`."""

    virt_type: str | None = "lxc"
    own_kernel = False
    data_serial: str | None = None

    def fit(self, guest: Guest) -> Guest:
        """Folders have no sizes; interfaces are found by name, since nobody has set them up."""
        return replace(
            guest,
            os_disk=replace(guest.os_disk, size=None),
            data_disk=_without_size(guest.data_disk),
            nics=tuple(replace(nic, match=f"eth{n}") for n, nic in enumerate(guest.nics)),
        )

    def upload_image(self, host: Host, pool: str, file: Path, suffix: str) -> Volume:
        """A folder with what is in a tar of a root file system."""
        return rootfs.unpack(host, pool, file, suffix)

    def clone(self, host: Host, pool: str, name: str, base: Volume, size: int | None) -> Volume:
        """The folder of a machine's system. Raises `PlatformError` for an image that is none."""
        del size
        if base.format != folders.FORMAT:
            raise PlatformError(
                f"{base.name} is not the image of a container",
                hint="give the path of the tar that `pgstead image build --rootfs FILE` writes,"
                " which lies in no storage pool",
            )
        made = rootfs.make(host, pool, name)
        with folders.writing(made.path):
            for each in (UPPER, WORK):
                (Path(made.path) / each).mkdir(mode=0o755, exist_ok=True)
            link = Path(made.path) / BASE
            link.unlink(missing_ok=True)
            link.symlink_to(base.path)
        return made

    def make(self, host: Host, pool: str, name: str, size: int | None) -> Volume:
        """A folder, as large as its file system allows."""
        del size
        return rootfs.make(host, pool, name)

    def upload_seed(self, host: Host, pool: str, name: str, files: Mapping[str, str]) -> Volume:
        """A folder that is mounted where cloud-init looks first."""
        volumes.remove(host, pool, name)
        made = rootfs.make(host, pool, name)
        with folders.writing(made.path):
            for file, text in files.items():
                _write_private(Path(made.path) / file, text)
        return made

    def xml(self, domain: Domain) -> str:
        """The XML of a container."""
        system, *others = domain.disks
        data = next((disk for disk in others if disk.mount), None)
        return render(
            PACKAGE,
            "container.xml.j2",
            domain=domain,
            metadata_uri=URI,
            metadata=escaped(domain.metadata),
            script=render(PACKAGE, "container-init.j2", at=rootfs.MOUNTS),
            at=rootfs.MOUNTS,
            base=f"{system.path}/{BASE}",
            system=system.path,
            data=data,
            seed_path=domain.seed.path if domain.seed else None,
            seed=SEED,
        )

    def start(self, host: Host, domain: Any) -> Console:
        """At once; a container's console keeps what is said before it is read."""
        with explained(f"start of {domain.name()}", host.name):
            domain.create()
            return Console(host.connection, domain)

    def has_seed(self, tree: ET.Element) -> bool:
        """Whether the first boot's folder is to be mounted."""
        return _seed(tree) is not None

    def eject(self, host: Host, domain: Any) -> None:
        """Empty the folder, which a container sees at once, and mount it never again."""
        tree = domains.config(domain)
        found = _seed(tree)
        if found is None:
            return
        source = found.find("source")
        if source is not None:
            folders.clear(source.get("dir", ""))
        devices = tree.find("devices")
        assert devices is not None  # noqa: S101 - `found` is in it
        devices.remove(found)
        text = ET.tostring(tree, encoding="unicode")
        with explained(f"removal of the first boot's folder of {domain.name()}", host.name):
            host.connection.defineXMLFlags(text, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)


def _without_size(disk: Disk | None) -> Disk | None:
    return None if disk is None else replace(disk, size=None)


def _seed(tree: ET.Element) -> ET.Element | None:
    for each in tree.iterfind("devices/filesystem"):
        target = each.find("target")
        if target is not None and target.get("dir") == SEED:
            return each
    return None


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
