"""Addresses of machines: free ones, and who else has one."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping

import libvirt

from pgstead.errors import PlatformError
from pgstead.platforms.libvirt import domains, networks
from pgstead.platforms.libvirt.connection import Host, HostDown
from pgstead.platforms.libvirt.ground import Ground
from pgstead.spec.virtual import span


def allocate(ground: Ground, machines: Iterable[str], taken: Mapping[str, str]) -> dict[str, str]:
    """Free addresses: of the range in the stack file, else of the network.

    Raises `PlatformError` where there are too few, or none can be known.
    """
    wanted = list(machines)
    if not wanted:
        return {}
    used = set(taken.values()) | set(used_by_others(ground, frozenset()))
    if ground.settings.gateway:
        used.add(ground.settings.gateway)
    free = _candidates(ground, used)
    found = dict(zip(wanted, free, strict=False))
    if len(found) < len(wanted):
        raise PlatformError(
            f"{len(wanted)} machines need addresses, and {len(found)} are free",
            hint="make platform.addresses a larger range",
        )
    return found


def _candidates(ground: Ground, used: set[str]) -> Iterator[str]:
    if ground.settings.addresses is not None:
        first, last = span(ground.settings.addresses)
        numbers = range(int(first), int(last) + 1)
        return (one for n in numbers if (one := str(ipaddress.IPv4Address(n))) not in used)
    return _of_network(ground, used)


def _of_network(ground: Ground, used: set[str]) -> Iterator[str]:
    """Of the first host that is up. Raises `HostDown` if none is."""
    down: list[HostDown] = []
    for host in ground.hosts:
        try:
            return _of_host(ground, host, used)
        except HostDown as error:
            down.append(error)
    raise down[0]


def _of_host(ground: Ground, host: Host, used: set[str]) -> Iterator[str]:
    name = host.network or "default"
    own = ground.settings.networks.get(name)
    if own is not None:
        return networks.own_subnet(own.subnet, own.mode).free(used)
    subnet = None if host.macvtap else networks.subnet(networks.find(host, name))
    if subnet is None:
        what = f"the interface {host.macvtap}" if host.macvtap else f"the network {name}"
        raise PlatformError(
            f"no addresses are known for {what} on {host.name}",
            hint="give platform.addresses a range, e.g. 192.168.1.50-192.168.1.80, and"
            " platform.prefix_length",
        )
    free = list(subnet.free(used))
    if not free:
        raise PlatformError(
            f"the network {name} on {host.name} gives all of its addresses away by DHCP",
            hint="give platform.addresses a range outside of it, or make DHCP's smaller:"
            f" `virsh net-edit {name}`",
        )
    return iter(free)


def used_by_others(ground: Ground, machines: frozenset[str]) -> dict[str, str]:
    """Addresses that are in use on the hosts, and by whom; not by those machines of the stack."""
    own = {ground.naming.uuid("domain", machine) for machine in machines}
    found: dict[str, str] = {}
    for host in ground.hosts:
        try:
            found |= domains.addresses(host, own)
            found |= _leases(host)
        except HostDown:
            continue
    return found


def _leases(host: Host) -> dict[str, str]:
    found = {}
    for network in host.connection.listAllNetworks():
        try:
            leases = network.DHCPLeases() if network.isActive() else []
        except libvirt.libvirtError:
            continue
        for lease in leases:
            who = lease.get("hostname") or lease.get("mac")
            found[str(lease["ipaddr"])] = f"{who}, by DHCP of {network.name()} on {host.name}"
    return found


def occupied(ground: Ground, given: Mapping[str, str]) -> dict[str, str]:
    """Of those machines' addresses, which ones others have: in words, by machine."""
    others = used_by_others(ground, frozenset(given))
    return {
        machine: f"{address} is in use by {others[address]}"
        for machine, address in given.items()
        if address in others
    }
