"""What each role of a stack's machines serves, and to whom: the security groups' rules. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pgstead.machine import Machine
from pgstead.membership import EtcdMember, LoadBalancer, PatroniMember, StandaloneServer

SSH = 22
ETCD, POSTGRES, BALANCER = "etcd", "postgres", "load-balancer"
ROLES = (ETCD, POSTGRES, BALANCER)


@dataclass(frozen=True, slots=True, order=True)
class Wanted:
    """A port that is let in from a network (`network`), or from machines of a role (`role`)."""

    port: int
    network: str = ""
    role: str = ""


def role(machine: Machine) -> str:
    """The role of a machine."""
    membership = machine.membership
    if isinstance(membership, EtcdMember):
        return ETCD
    return BALANCER if isinstance(membership, LoadBalancer) else POSTGRES


def cluster(machine: Machine) -> str | None:
    """What the machine's fellows are told by, which are to be on other hosts."""
    membership = machine.membership
    if isinstance(membership, EtcdMember):
        return f"etcd-{membership.cluster}"
    if isinstance(membership, PatroniMember):
        return f"postgres-{membership.scope}"
    return "load-balancer" if isinstance(membership, LoadBalancer) else None


def rules(
    machines: Iterable[Machine], networks: Iterable[str], *, ssh: bool
) -> Mapping[str, frozenset[Wanted]]:
    """By role, what its machines let in: what they serve, and nothing else.

    `networks` are those of users and of pgstead itself; roles that are there let each other
    in where they need each other. `ssh` tells whether pgstead comes in that way.
    """
    known, allowed = list(machines), list(networks)
    roles = {role(machine) for machine in known}
    found: dict[str, set[Wanted]] = {one: set() for one in roles}
    for machine in known:
        mine = found[role(machine)]
        for port, fellows, public in _served(machine):
            mine.update(Wanted(port, role=one) for one in fellows if one in roles)
            mine.update(Wanted(port, network=one) for one in allowed if public)
        if ssh:
            mine.update(Wanted(SSH, network=one) for one in allowed)
    return {one: frozenset(wanted) for one, wanted in found.items()}


def _served(machine: Machine) -> Iterator[tuple[int, tuple[str, ...], bool]]:
    """Ports, with the roles that need them, and whether others may use them too."""
    yield from _of_membership(machine)
    known = {port for port, _, _ in _of_membership(machine)}
    for service in machine.software.services:
        ports = (service.ready.port if service.ready else None, service.port)
        yield from ((port, (), True) for port in ports if port is not None and port not in known)


def _of_membership(machine: Machine) -> Iterator[tuple[int, tuple[str, ...], bool]]:
    one = machine.membership
    if isinstance(one, EtcdMember):
        yield one.client_port, (ETCD, POSTGRES), True
        yield one.peer_port, (ETCD,), False
    elif isinstance(one, PatroniMember):
        yield one.port, (POSTGRES, BALANCER), True
        yield one.api_port, (POSTGRES, BALANCER), True
    elif isinstance(one, StandaloneServer):
        yield one.port, (), True
    elif isinstance(one, LoadBalancer):
        ports = (one.port, one.read_only_port, one.api_port, one.statistics_port)
        yield from ((port, (), True) for port in ports if port is not None)
