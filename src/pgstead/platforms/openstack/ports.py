"""The ports that machines are connected by: those that the stack made, and no others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pgstead.errors import PlatformError
from pgstead.machine import Machine, Nic
from pgstead.platforms.openstack import groups
from pgstead.platforms.openstack.catalog import FoundPort, found_port
from pgstead.platforms.openstack.errors import explained
from pgstead.platforms.openstack.ground import Ground

Key = tuple[str, int]
"""A machine and the number of its interface, from 0."""


def of_stack(ground: Ground) -> dict[Key, FoundPort]:
    """Every port that the stack made."""
    return made(ground, ground.catalog.ports)


def made(ground: Ground, found: Iterable[FoundPort]) -> dict[Key, FoundPort]:
    """Of those ports, the stack's own."""
    own = ((ground.naming.port_of(port.description), port) for port in found)
    return {key: port for key, port in own if key is not None}


def find(ground: Ground, machine: str, number: int) -> FoundPort | None:
    """A machine's own port, made by this run or an earlier one."""
    mark = ground.naming.port(machine, number)
    with explained(f"port of {machine}"):
        found = [found_port(one) for one in ground.cloud.network.ports(description=mark)]
    # The cloud may not know that filter and list them all.
    return next((port for port in found if port.description == mark), None)


def ensure(ground: Ground, machine: Machine, *, new: bool = False) -> tuple[str, ...]:
    """The ids of the machine's ports, made where they are not there yet; a `new` one has none."""
    nics = enumerate(machine.guest.nics)
    return tuple(_ensure(ground, machine, number, nic, new=new) for number, nic in nics)


def _ensure(ground: Ground, machine: Machine, number: int, nic: Nic, *, new: bool) -> str:
    if nic.port is not None and nic.port.existing is not None:
        return ground.catalog.port(nic.port.existing).id
    found = None if new else find(ground, machine.name, number)
    if found is not None and _fits(ground, found, nic):
        return found.id
    if found is not None:  # of an earlier attempt with other wishes
        delete(ground, found)
    return _make(ground, machine, number, nic)


def _fits(ground: Ground, found: FoundPort, nic: Nic) -> bool:
    network = ground.network_of(nic)
    mac = nic.mac is None or found.mac == nic.mac.lower()
    return nic.address in found.addresses and found.network == network.id and mac


def _make(ground: Ground, machine: Machine, number: int, nic: Nic) -> str:
    network = ground.network_of(nic)
    subnet = ground.subnet_of(nic)
    port = nic.port
    wanted: dict[str, Any] = {
        "name": (port.name if port else None) or ground.naming.server(machine.name),
        "description": ground.naming.port(machine.name, number),
        "network_id": network.id,
        "fixed_ips": [{"subnet_id": subnet.id, "ip_address": nic.address}],
        "is_admin_state_up": port.admin_up if port else True,
        "security_group_ids": list(groups.ids(ground, machine, nic)),
    }
    if nic.mac is not None:
        wanted["mac_address"] = nic.mac
    with explained(f"port of {machine.name} with {nic.address} on {network.name}"):
        return str(ground.cloud.network.create_port(**wanted).id)


def set_groups(ground: Ground, machine: Machine) -> None:
    """Put the machine's own ports into the security groups that they should be in."""
    for number, nic in enumerate(machine.guest.nics):
        if nic.port is not None and nic.port.existing is not None:
            continue
        found = find(ground, machine.name, number)
        wanted = groups.ids(ground, machine, nic)
        if found is not None and set(found.groups) != set(wanted):
            with explained(f"security groups of {machine.name}"):
                ground.cloud.network.update_port(found.id, security_group_ids=list(wanted))


def delete(ground: Ground, port: FoundPort) -> None:
    """Delete a port of the stack's own. Raises `PlatformError` if something still has it."""
    if ground.naming.port_of(port.description) is None:
        raise PlatformError(f"the port {port.name} was not made by this stack: it stays")
    with explained(f"port {port.name}"):
        ground.cloud.network.delete_port(port.id, ignore_missing=True)


def delete_all(ground: Ground, machine: str, found: Mapping[Key, FoundPort]) -> None:
    """Delete a machine's own ports."""
    for (name, _), port in found.items():
        if name == machine:
            delete(ground, port)
