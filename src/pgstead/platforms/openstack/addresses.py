"""Addresses of machines: free ones, and who else has one."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping

from pgstead.errors import PlatformError
from pgstead.platforms.openstack import servers
from pgstead.platforms.openstack.catalog import FoundPort, Subnet
from pgstead.platforms.openstack.ground import Ground
from pgstead.spec.virtual import span


def allocate(ground: Ground, machines: Iterable[str], taken: Mapping[str, str]) -> dict[str, str]:
    """Free addresses of the platform's subnet. Raises `PlatformError` where there are too few."""
    wanted = list(machines)
    if not wanted:
        return {}
    subnet = _subnet(ground)
    used = {*taken.values(), subnet.gateway}
    used |= {one for port in _on(ground, subnet) for one in port.addresses}
    free = (one for one in _candidates(ground, subnet) if one not in used)
    found = dict(zip(wanted, free, strict=False))
    if len(found) < len(wanted):
        raise PlatformError(
            f"{len(wanted)} machines need addresses, and {len(found)} of the subnet {subnet.name}"
            " are free",
            hint="make its allocation pools or platform.addresses larger, or name another subnet",
        )
    return found


def _subnet(ground: Ground) -> Subnet:
    network = ground.catalog.network(ground.settings.network)
    return ground.catalog.subnet(network, ground.settings.subnet)


def _on(ground: Ground, subnet: Subnet) -> list[FoundPort]:
    return [port for port in ground.catalog.ports if port.network == subnet.network]


def _candidates(ground: Ground, subnet: Subnet) -> Iterator[str]:
    """The range of the stack file, in its order; else the subnet's pools, from their ends.

    The cloud itself gives addresses from the beginnings: what others take between a plan and
    its apply is likely to be there.
    """
    if ground.settings.addresses is not None:
        first, last = span(ground.settings.addresses)
        numbers: Iterable[int] = range(int(first), int(last) + 1)
        yield from (str(ipaddress.IPv4Address(one)) for one in numbers)
        return
    for start, end in reversed(subnet.pools):
        numbers = range(int(ipaddress.IPv4Address(end)), int(ipaddress.IPv4Address(start)) - 1, -1)
        yield from (str(ipaddress.IPv4Address(one)) for one in numbers)


def occupied(ground: Ground, given: Mapping[str, str]) -> dict[str, str]:
    """Of those machines' addresses, which ones others have: in words, by machine.

    Only what has something connected to it counts: a port without is one that a stack file
    may name. A stack whose machines are on no network of the platform's own is not judged.
    """
    try:
        subnet = _subnet(ground)
    except PlatformError:
        return {}
    others = {
        address: port
        for port in _on(ground, subnet)
        if port.device and ground.naming.port_of(port.description) is None
        for address in port.addresses
    }
    clashes = {name: others[one] for name, one in given.items() if one in others}
    # A port of the project that a stack file names is connected to the stack's own server.
    own = {one.id for one in servers.of_stack(ground).values()} if clashes else set()
    return {
        machine: f"{given[machine]} is in use by the port {port.name or port.id} of"
        f" {port.owner or 'something'}"
        for machine, port in clashes.items()
        if port.device not in own
    }


def check(subnet: Subnet, address: str, machine: str) -> None:
    """Raise `PlatformError` for an address that is not the subnet's."""
    if ipaddress.IPv4Address(address) not in subnet.cidr:
        raise PlatformError(
            f"{machine} has the address {address}, which is not in {subnet.cidr}, the subnet"
            f" {subnet.name} that its port is made on",
            hint="give it an `ip` of that subnet: only those of the platform's are found by"
            " themselves",
        )
