"""The protocol of what each of libvirt's drivers does its own way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from xml.etree.ElementTree import Element

from pgstead.machine import Guest
from pgstead.platforms.libvirt.connection import Host
from pgstead.platforms.libvirt.console import Console
from pgstead.platforms.libvirt.domain_xml import Domain
from pgstead.platforms.libvirt.volumes import Volume


class Driver(Protocol):
    """Makes machines of one kind. Sizes are in GiB."""

    virt_type: str | None
    """The only kind of domain that there is; None where a host may offer several."""

    own_kernel: bool
    """Whether each machine has a kernel, and so a clock and a watchdog, of its own."""

    data_serial: str | None
    """The serial number of data disks; None where data lies in a folder that is mounted."""

    def fit(self, guest: Guest) -> Guest:
        """The guest with what machines of this kind can have."""

    def upload_image(self, host: Host, pool: str, file: Path, suffix: str) -> Volume:
        """A base image of this machine as a volume, named by its content and that suffix."""

    def clone(self, host: Host, pool: str, name: str, base: Volume, size: int | None) -> Volume:
        """A machine's system on top of a base image, which stays as it is."""

    def make(self, host: Host, pool: str, name: str, size: int | None) -> Volume:
        """An empty volume for data."""

    def upload_seed(self, host: Host, pool: str, name: str, files: Mapping[str, str]) -> Volume:
        """The first boot's texts as a volume; one of that name is replaced."""

    def xml(self, domain: Domain) -> str:
        """The XML of a domain."""

    def start(self, host: Host, domain: Any) -> Console:
        """Start a domain with its console open, so that nothing it says is lost."""

    def has_seed(self, tree: Element) -> bool:
        """Whether a domain's XML still holds the first boot's texts."""

    def eject(self, host: Host, domain: Any) -> None:
        """Take the first boot's texts away, for now and for all later starts."""
