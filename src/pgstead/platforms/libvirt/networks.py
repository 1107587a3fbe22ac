"""Networks: those that exist, and those that the stack makes."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

import libvirt

from pgstead.errors import PlatformError
from pgstead.machine import Nic
from pgstead.platforms.libvirt.connection import Host
from pgstead.platforms.libvirt.domain_xml import Wire, parsed
from pgstead.platforms.libvirt.errors import explained, names


@dataclass(frozen=True, slots=True)
class Subnet:
    """What a libvirt network says of its addresses."""

    network: ipaddress.IPv4Network
    gateway: str
    forwards: bool
    reserved: tuple[tuple[int, int], ...] = ()

    def free(self, taken: set[str]) -> Iterator[str]:
        """Addresses that are neither the host's, nor DHCP's, nor taken, the highest first.

        The lowest are what people give by hand.
        """
        for address in reversed(list(self.network.hosts())):
            number, text = int(address), str(address)
            if text != self.gateway and text not in taken and not self._is_reserved(number):
                yield text

    def _is_reserved(self, number: int) -> bool:
        return any(first <= number <= last for first, last in self.reserved)


def find(host: Host, given: str) -> Any:
    """The network of that name or id, active. Raises `PlatformError` with those that exist."""
    with explained(f"network {given}", host.name):
        there = host.connection.listAllNetworks()
        for network in there:
            if given in (network.name(), network.UUIDString()):
                if not network.isActive():
                    network.create()
                return network
        raise PlatformError(
            f"there is no libvirt network {given!r} on {host.name}",
            hint=f"{names([each.name() for each in there])}; `platform.networks` has pgstead"
            " make one, macvtap uses an interface of the host",
        )


def wire(host: Host, nic: Nic) -> Wire:
    """An interface as the host has it. Raises `PlatformError` for what it has not."""
    assert nic.mac is not None  # noqa: S101 - `lower` gives every interface one
    if nic.macvtap is not None:
        _check_interface(host, nic.macvtap)
        return Wire(nic.mac, macvtap=nic.macvtap)
    given = nic.network_id or nic.network_name or host.network or "default"
    return Wire(nic.mac, network=find(host, given).name())


def _check_interface(host: Host, name: str) -> None:
    """Where the host can list its interfaces, one that is not there is known before a start."""
    try:
        found = {each.name() for each in host.connection.listAllInterfaces()}
    except libvirt.libvirtError:
        found = _devices(host)
    if found and name not in found:
        raise PlatformError(
            f"{host.name} has no interface {name!r}",
            hint=names(list(found)),
        )


def _devices(host: Host) -> set[str]:
    try:
        flag = libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_NET
        devices = host.connection.listAllDevices(flag)
        found = (parsed(each.XMLDesc()).findtext("capability/interface") for each in devices)
        return {name for name in found if name}
    except libvirt.libvirtError:
        return set()


def subnet(network: Any) -> Subnet | None:
    """The IPv4 addresses of a network; None where it leaves them to others."""
    tree = parsed(network.XMLDesc())
    for each in tree.iterfind("ip"):
        if each.get("family", "ipv4") == "ipv4":
            return _subnet(tree, each)
    return None


def own_subnet(cidr: str, mode: str) -> Subnet:
    """The addresses of a network of the stack's own, as `make` makes it."""
    found = ipaddress.IPv4Network(cidr)
    return Subnet(found, str(found.network_address + 1), forwards=mode != "isolated")


def _subnet(tree: Element, ip: Element) -> Subnet:
    address = ip.get("address", "")
    mask = ip.get("prefix") or ip.get("netmask") or "24"
    found = ipaddress.IPv4Interface(f"{address}/{mask}")
    ranges = [(each.get("start", ""), each.get("end", "")) for each in ip.iterfind("dhcp/range")]
    hosts = [(each.get("ip", ""),) * 2 for each in ip.iterfind("dhcp/host")]
    reserved = tuple(
        (int(ipaddress.IPv4Address(first)), int(ipaddress.IPv4Address(last)))
        for first, last in (*ranges, *hosts)
        if first and last
    )
    forwards = tree.find("forward") is not None
    return Subnet(found.network, address, forwards, reserved)


def make(host: Host, name: str, uuid: str, cidr: str, mode: str) -> None:
    """A network of the stack's own, if it is not there. Raises `PlatformError` for another's."""
    with host.making, explained(f"network {name}", host.name):
        for network in host.connection.listAllNetworks():
            if network.name() == name and network.UUIDString() != uuid:
                raise PlatformError(
                    f"the network {name!r} on {host.name} exists and is not this stack's",
                    hint="name it under platform.network to use it, or give yours another name",
                )
            if network.UUIDString() == uuid:
                if not network.isActive():
                    network.create()
                return
        network = host.connection.networkDefineXML(network_xml(name, uuid, cidr, mode))
        network.setAutostart(1)
        network.create()


def network_xml(name: str, uuid: str, cidr: str, mode: str) -> str:
    """The XML of a network without DHCP; the host has its first address."""
    found = ipaddress.IPv4Network(cidr)
    forward = "" if mode == "isolated" else f"<forward mode='{mode}'/>"
    bridge = f"pgs{uuid.replace('-', '')[:10]}"  # 15 characters at most
    return (
        f"<network><name>{escape(name)}</name><uuid>{uuid}</uuid>{forward}"
        f"<bridge name='{bridge}' stp='off' delay='0'/>"
        f"<ip address='{found.network_address + 1}' netmask='{found.netmask}'/></network>"
    )


def remove(host: Host, uuid: str) -> None:
    """Remove a network that the stack made, if it is there."""
    with explained("removal of a network", host.name):
        for network in host.connection.listAllNetworks():
            if network.UUIDString() == uuid:
                if network.isActive():
                    network.destroy()
                network.undefine()
