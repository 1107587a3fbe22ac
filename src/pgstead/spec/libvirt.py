"""What a stack file says under `platform` when its machines stand on libvirt hosts."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from pgstead.spec.models import Image, Label, Location, Model, Problems, Text
from pgstead.spec.virtual import Address, AddressRange, FirstUser, Name

LOCAL = "qemu:///system"
_URI = re.compile(r"[a-z][a-z0-9+.-]*://\S*")


def _uri(value: str) -> str:
    if "${" not in value and not _URI.fullmatch(value):
        raise ValueError("must be a libvirt URI such as qemu+ssh://root@host/system")
    return value


def _subnet(value: str) -> str:
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError as error:
        raise ValueError(f"must be an IPv4 network such as 10.20.0.0/24 ({error})") from None
    if network.prefixlen > 28:  # noqa: PLR2004 - a cluster has seven machines
        raise ValueError("must have room for 16 addresses: /28 or larger")
    return value


def driver(uri: str) -> str:
    """Which of libvirt's drivers a URI names: `qemu`, `lxc`."""
    return uri.partition(":")[0].partition("+")[0]


Uri = Annotated[Text, AfterValidator(_uri)]


class LibvirtHost(Model):
    """A host of virtual machines; what is left out is as the platform says."""

    uri: Uri = Field(description="How to connect to its libvirt, e.g. qemu+ssh://root@host/system.")
    pool: Name | None = Field(None, description="The storage pool for volumes on this host.")
    network: Name | None = Field(None, description="The libvirt network on this host.")
    macvtap: Name | None = Field(
        None, description="The interface of this host that guests share, instead of a network."
    )
    image: Image | None = Field(None, description="The base image on this host.")


class LibvirtNetwork(Model):
    """A libvirt network that the stack makes and removes."""

    subnet: Annotated[Text, AfterValidator(_subnet)] = Field(
        description="Its IPv4 network; the host gets the first address."
    )
    mode: Literal["nat", "route", "open", "isolated"] = Field(
        "nat", description="How it is connected to other networks; isolated: not at all."
    )


class LibvirtPool(Model):
    """A storage pool of the kind `dir` that the stack makes and removes once it is empty."""

    path: Annotated[Text, Field(pattern=r"^/.+")] = Field(description="Its folder on the host.")


class LibvirtPlatform(Model):
    """Virtual machines on one or several libvirt hosts."""

    kind: Literal["libvirt"] = Field("libvirt", description="Virtual machines by libvirt.")
    uri: Uri = Field(
        LOCAL,
        description="How to connect to libvirt, where there is one host. With lxc:///system "
        "machines are containers of this host, which share its kernel.",
    )
    hosts: dict[Label, LibvirtHost] = Field(
        {}, description="Several hosts by name; the members of a cluster are spread over them."
    )
    image: Image | None = Field(
        None,
        description="The base image of machines that name no volume: a volume's name, "
        "POOL/VOLUME, or the path of a file, which is then uploaded; ./PATH starts from the "
        "stack file.",
    )
    os_size: int | None = Field(
        None, ge=1, le=65536, description="GiB of a system disk; by default the image's own size."
    )
    data_size: int | None = Field(
        None,
        ge=1,
        le=65536,
        description="GiB of the data disk of machines that hold data; by default none of their "
        "own: data lies on the system disk.",
    )
    pool: Name = Field("default", description="The storage pool for volumes.")
    network: Name | None = Field(
        None, description="The libvirt network; by default the one called default."
    )
    macvtap: Name | None = Field(
        None, description="The host's interface that guests share, instead of a network."
    )
    networks: dict[Name, LibvirtNetwork] = Field(
        {}, description="Networks that the stack makes on each host."
    )
    pools: dict[Name, LibvirtPool] = Field(
        {}, description="Storage pools that the stack makes on each host."
    )
    addresses: AddressRange | None = Field(
        None,
        description="The range that machines get their addresses from, e.g. "
        "192.168.1.50-192.168.1.80. By default the free ones of the network, outside DHCP.",
    )
    prefix_length: int | None = Field(
        None, ge=1, le=32, description="Bits of the network part; by default the network's own."
    )
    gateway: Address | None = Field(
        None, description="The default gateway; by default the network's own."
    )
    dns_servers: tuple[Address, ...] = Field((), description="DNS servers of the machines.")
    virt_type: Literal["auto", "kvm", "qemu"] = Field(
        "auto",
        description="kvm, or qemu for emulation. auto takes kvm where a small guest is seen to "
        "run with it.",
    )
    cpu: Name | None = Field(
        None,
        description="host-passthrough, host-model, maximum, or a CPU model's name. By default "
        "host-passthrough with kvm and maximum without.",
    )
    machine_type: Name | None = Field(
        None, description="The machine type, e.g. q35; by default the emulator's own."
    )
    name_prefix: Annotated[Text, Field(pattern=r"^[A-Za-z0-9_.-]{0,40}$")] = Field(
        "", description="Stands before machines' names in libvirt, where stacks share a host."
    )
    admin: FirstUser = Field(
        default_factory=FirstUser, description="The first user of machines that name none."
    )
    reach: Literal["ssh", "guest_agent", "none"] = Field(
        "ssh",
        description="How pgstead gets into machines that run. Where it is left out, machines "
        "with macvtap interfaces alone are entered by the guest agent from their own host, "
        "which cannot reach them by network. With none, nothing in a machine is seen or "
        "changed once it has been set up: other software replaces it.",
    )
    ssh_key: Location | None = Field(
        None, description="A private key to log in with; by default one that pgstead makes."
    )
    boot_deadline: int = Field(
        300, ge=10, le=7200, description="Seconds that a machine may take until it is reached."
    )
    cloud_init_deadline: int = Field(
        900, ge=30, le=14400, description="Seconds that a machine's first boot may take."
    )

    @model_validator(mode="after")
    def _consistent(self) -> LibvirtPlatform:
        found: list[tuple[tuple[str | int, ...], str]] = []
        if self.hosts and "uri" in self.model_fields_set:
            found.append((("uri",), "is each host's own where there are hosts"))
        if self.network is not None and self.macvtap is not None:
            found.append((("macvtap",), "cannot be given together with network"))
        for name, host in self.hosts.items():
            if host.network is not None and host.macvtap is not None:
                where = ("hosts", name, "macvtap")
                found.append((where, "cannot be given together with network"))
        found.extend(((name,), words) for name, words in self._of_containers())
        if found:
            raise Problems(found)
        return self

    def _of_containers(self) -> Iterator[tuple[str, str]]:
        """What is wrong where machines are containers, by the setting's name."""
        drivers = {driver(one) for one in ([h.uri for h in self.hosts.values()] or [self.uri])}
        if "lxc" not in drivers:
            return
        if self.reach == "guest_agent":
            yield "reach", "cannot be guest_agent: containers have no agent, ssh reaches them"
        if self.macvtap is not None:
            yield "macvtap", "cannot be given for containers: nothing on their host reaches them"
        for name in ("virt_type", "cpu", "machine_type"):
            if drivers == {"lxc"} and name in self.model_fields_set:
                yield name, "is of virtual machines, and the URI makes containers"
