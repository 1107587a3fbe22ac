"""The lab's guests, booted: libvirt runs a container for each one that nova has running.

All that a container is told is the config drive that nova made; it is on the network by the MAC
address of neutron's port.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import libvirt

from pgstead.platforms.libvirt.console import Console
from pgstead.platforms.libvirt.domain_xml import Domain, DomainDisk, Wire
from pgstead.platforms.libvirt.drivers.lxc import BASE, UPPER, WORK, Lxc
from support.libvirt import Libvirtd
from support.openstack.guest import Guest
from support.openstack.lab import Lab
from support.openstack.project import CIDR

NETWORK = "cloud"
SEED = "var/lib/cloud/seed/config_drive"
"""Where cloud-init finds a config drive that is no disk."""

OWN = {
    "etc/cloud/cloud.cfg.d/95_container.cfg": "system_info: {network: {renderers: [networkd]}}\n",
    "etc/systemd/network/10-cloud-init-eth0.network.d/own.conf": "[Network]\nIPv6AcceptRA=no\n",
}
"""What containers are told besides, by file: netplan knows an interface by its permanent MAC
address, which theirs lacks; and a boot would wait 13 s for an IPv6 router that is not there."""

MEMORY = 512
POLL = 0.1


@dataclass
class Hypervisor:
    """What runs in place of nova's fake hypervisor; `root` is the image, unpacked."""

    lab: Lab
    uri: str
    root: Path
    folder: Path
    consoles: dict[str, Console] = field(default_factory=dict)
    """Of the containers that run, by the servers' ids."""

    def follow(self, ended: threading.Event) -> None:
        """Do what nova says until the end, in a thread with a connection of its own."""
        connection = libvirt.open(self.uri)
        try:
            _make_network(connection)
            while not ended.wait(POLL):
                self._look(connection)
            self._look(connection)  # what nova has removed since
        finally:
            for ident in list(self.consoles):
                self._stop(connection, ident)
            connection.close()

    def _look(self, connection: Any) -> None:
        guests = self.lab.guests
        for folder in [one for one in self.folder.iterdir() if one.name not in guests]:
            self._stop(connection, folder.name)
            shutil.rmtree(folder)
        for ident, guest in guests.items():
            with suppress(FileNotFoundError, shutil.Error):  # nova is removing it
                self._serve(connection, ident, guest)

    def _serve(self, connection: Any, ident: str, guest: Guest) -> None:
        if not guest.is_on:
            self._stop(connection, ident)
        elif ident in self.consoles:
            guest.say("\n".join(self.consoles[ident].lines()))
        else:
            system = self._disk(ident, guest)
            xml = Lxc().xml(_domain(ident, system, guest))
            self.consoles[ident] = Console(connection, connection.createXML(xml))

    def _disk(self, ident: str, guest: Guest) -> Path:
        """Its system's own folder, with what it is told; the one that it has, if it ran before."""
        system = self.folder / ident
        if not system.exists():
            part = self.folder / f"{ident}.part"
            shutil.copytree(guest.drive, part / UPPER / SEED)
            for name, text in OWN.items():
                file = part / UPPER / name
                file.parent.mkdir(parents=True)
                file.write_text(text)
            (part / WORK).mkdir()
            (part / BASE).symlink_to(self.root)
            part.rename(system)
        return system

    def _stop(self, connection: Any, ident: str) -> None:
        console = self.consoles.pop(ident, None)
        if console is not None:
            console.close()
            with suppress(libvirt.libvirtError):  # it has ended by itself
                connection.lookupByUUIDString(ident).destroy()


def _domain(ident: str, system: Path, guest: Guest) -> Domain:
    (mac,) = guest.ports.values()
    disk = DomainDisk("", "", "dir", "vda", "", boot=True, path=str(system))
    wires = (Wire(mac, network=NETWORK),)
    return Domain(ident, ident, ident, MEMORY, 1, "lxc", (disk,), wires)


def _make_network(connection: Any) -> None:
    """A bridge with the gateway's address, by which whoever is beside the daemon reaches guests."""
    start, _, length = CIDR.partition("/")
    gateway = f"{start.rpartition('.')[0]}.1"
    connection.networkCreateXML(
        f"<network><name>{NETWORK}</name><dns enable='no'/>"
        f"<ip address='{gateway}' prefix='{length}'/></network>"
    )


@contextmanager
def booting(lab: Lab, daemon: Libvirtd, root: Path) -> Iterator[Hypervisor]:
    """Boot the lab's guests while the block runs; none may be left at its end."""
    folder = daemon.images / "guests"
    folder.mkdir(parents=True)
    made, ended = Hypervisor(lab, daemon.containers, root, folder), threading.Event()
    with lab.silent_guests(), ThreadPoolExecutor(1) as pool:
        following = pool.submit(made.follow, ended)
        try:
            yield made
        finally:
            ended.set()
            following.result()
    assert list(folder.iterdir()) == []
