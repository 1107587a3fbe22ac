"""Domains as libvirt's XML: written from a description, and read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from xml.etree import ElementTree as ET

from pgstead.platforms.libvirt.metadata import URI, escaped
from pgstead.render import render

SEED_DEVICE = "sda"
OS_DEVICE = "vda"
DATA_DEVICE = "vdb"
SERIAL_LENGTH = 20
"""A virtio disk's serial number is cut off there, and with it the name that guests see."""


@dataclass(frozen=True, slots=True)
class DomainDisk:
    """A volume as a disk; the guest finds it as /dev/disk/by-id/virtio-<serial>.

    In a container it is a folder, `path`, that is mounted at `mount`.
    """

    pool: str
    volume: str
    format: str
    device: str
    serial: str
    boot: bool = False
    path: str = ""
    mount: str | None = None


@dataclass(frozen=True, slots=True)
class Wire:
    """An interface: a libvirt network by name, or a macvtap on an interface of the host."""

    mac: str
    network: str | None = None
    macvtap: str | None = None

    @property
    def text(self) -> str:
        """One word to compare by."""
        there = f"macvtap:{self.macvtap}" if self.macvtap else f"network:{self.network}"
        return f"{self.mac.lower()}@{there}"


@dataclass(frozen=True, slots=True)
class Domain:
    """All that a domain's XML says. `memory` is in MiB, `seed` is (pool, volume)."""

    name: str
    uuid: str
    title: str
    memory: int
    vcpus: int
    virt_type: str
    disks: Sequence[DomainDisk]
    wires: Sequence[Wire]
    seed: DomainDisk | None = None
    cpu: str | None = None
    arch: str | None = None
    machine_type: str | None = None
    watchdog: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


def domain_xml(domain: Domain) -> str:
    """The XML of a domain."""
    return render(
        "pgstead.platforms.libvirt",
        "domain.xml.j2",
        name=domain.name,
        uuid=domain.uuid,
        title=domain.title,
        memory=domain.memory,
        vcpus=domain.vcpus,
        virt_type=domain.virt_type,
        disks=domain.disks,
        wires=domain.wires,
        seed=domain.seed,
        cpu=domain.cpu,
        arch=domain.arch,
        machine_type=domain.machine_type,
        watchdog=domain.watchdog,
        metadata_uri=URI,
        metadata=escaped(domain.metadata),
    )


def parsed(text: str) -> ET.Element:
    """XML that libvirt gave."""
    return ET.fromstring(text)  # noqa: S314 - libvirt's own text, not a user's


def wires(tree: ET.Element) -> tuple[Wire, ...]:
    """The interfaces of a domain, in their order."""
    return tuple(_wire(each) for each in tree.iterfind("devices/interface"))


def _wire(interface: ET.Element) -> Wire:
    mac = _attribute(interface.find("mac"), "address")
    source = interface.find("source")
    if interface.get("type") == "direct":
        return Wire(mac, macvtap=_attribute(source, "dev"))
    name = _attribute(source, "network") or f"{interface.get('type')}:{_any(source)}"
    return Wire(mac, network=name)


def wired(given: Sequence[Wire]) -> str:
    """Interfaces as one text to compare by."""
    return " ".join(each.text for each in given)


def sources(tree: ET.Element) -> dict[str, str]:
    """Per disk's device name, what is in it: `pool/volume` or a path; "" for an empty drive."""
    found = {}
    for disk in tree.iterfind("devices/disk"):
        source = disk.find("source")
        pool, volume = _attribute(source, "pool"), _attribute(source, "volume")
        found[_attribute(disk.find("target"), "dev")] = f"{pool}/{volume}" if pool else _any(source)
    return found


def tray_is_open(tree: ET.Element) -> bool:
    """Whether the guest has ejected its first boot's disk: the end of that boot."""
    for disk in tree.iterfind("devices/disk"):
        target = disk.find("target")
        if target is not None and target.get("dev") == SEED_DEVICE:
            return target.get("tray") == "open"
    return False


def resized(text: str, *, vcpus: int, memory: int) -> str:
    """The XML of a domain with other processors and memory (MiB), the rest as it was."""
    tree = parsed(text)
    for name, value, unit in (("memory", memory, "MiB"), ("currentMemory", memory, "MiB")):
        element = tree.find(name)
        if element is not None:
            element.text = str(value)
            element.set("unit", unit)
    processors = tree.find("vcpu")
    if processors is not None:
        processors.text = str(vcpus)
        processors.attrib.pop("current", None)
    return ET.tostring(tree, encoding="unicode")


def _attribute(element: ET.Element | None, name: str) -> str:
    return "" if element is None else element.get(name, "")


def _any(element: ET.Element | None) -> str:
    return "" if element is None else next(iter(element.attrib.values()), "")
