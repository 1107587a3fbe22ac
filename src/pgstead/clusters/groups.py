"""The clusters that machines form together, found by their memberships alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from pgstead.clients.etcd import EtcdClient
from pgstead.clients.patroni import NodeStatus, PatroniClient
from pgstead.engine.resource import Recorded
from pgstead.errors import ClientError
from pgstead.machine import Machine
from pgstead.membership import (
    EtcdAccess,
    EtcdMember,
    LoadBalancer,
    PatroniMember,
    PostgresAccess,
    StandaloneServer,
    Watcher,
)

ROOT = "root"
"""etcd's administrator; the name is fixed by etcd."""

OPERATOR = "pgstead-operator"
"""pgstead's own user in an etcd whose root has no password."""

ORDER = (EtcdMember, PatroniMember | StandaloneServer, LoadBalancer, Watcher)
"""Who is started first; stopping runs the other way round."""


@dataclass(frozen=True, slots=True)
class EtcdCluster:
    """An etcd cluster; `members` by machine name."""

    name: str
    members: Mapping[str, EtcdMember]

    @property
    def address(self) -> str:
        """The address of its resource."""
        return f"etcd.{self.name}"

    @property
    def access(self) -> EtcdAccess | None:
        """Its authentication, if a member says that there is one."""
        return next((m.access for m in self.members.values() if m.access), None)

    def without(self, machine: str) -> EtcdCluster:
        """The cluster as its other members form it."""
        return EtcdCluster(self.name, {k: m for k, m in self.members.items() if k != machine})

    def client(self, *, root_password: str | None = None) -> EtcdClient:
        """A client of all its members, as the one who may do all where there is one."""
        first = next(iter(self.members.values()))
        user, password = administrator(self.access) or (None, None)
        password = (root_password or password) if user else None
        endpoints = [(m.address, m.client_port) for m in self.members.values()]
        return EtcdClient(endpoints, first.operator, user, password)


def administrator(access: EtcdAccess | None) -> tuple[str, str] | None:
    """Who may do all in an etcd cluster, with the password to have; None if by certificate only."""
    if access is not None and access.root_password is not None:
        return ROOT, access.root_password
    if access is not None and access.operator_password is not None:
        return OPERATOR, access.operator_password
    return None


@dataclass(frozen=True, slots=True)
class PatroniScope:
    """A Patroni cluster; `members` by machine name, with the same settings each."""

    name: str
    members: Mapping[str, PatroniMember]

    @property
    def address(self) -> str:
        """The address of the resource that holds its dynamic configuration."""
        return f"patroni.{self.name}"

    @property
    def postgres_address(self) -> str:
        """The address of the resource that holds its roles and databases."""
        return f"postgres.{self.name}"

    @property
    def first(self) -> PatroniMember:
        """Any member: what belongs to the whole scope is on each."""
        return next(iter(self.members.values()))

    @property
    def access(self) -> PostgresAccess:
        """Roles and databases."""
        return self.first.access

    @property
    def prefix(self) -> str:
        """The prefix of its keys in etcd, with a slash at its end."""
        return f"/{self.first.namespace.strip('/')}/{self.name}/".replace("//", "/")

    def without(self, machine: str) -> PatroniScope:
        """The scope as its other members form it."""
        return PatroniScope(self.name, {k: m for k, m in self.members.items() if k != machine})

    def machine_of(self, member: str) -> str | None:
        """The machine whose Patroni has that name."""
        return next((k for k, m in self.members.items() if m.name == member), None)


@dataclass(frozen=True, slots=True)
class Groups:
    """Everything that a stack's machines form."""

    etcd: Mapping[str, EtcdCluster]
    patroni: Mapping[str, PatroniScope]
    standalone: Mapping[str, StandaloneServer]
    machines: Mapping[str, Machine]


def those_made(names: Iterable[str], recorded: Mapping[str, Recorded]) -> frozenset[str]:
    """The machines among `names` that were made; of others nothing can be expected yet."""
    return frozenset(name for name in names if was_made(recorded.get(f"machine.{name}")))


def was_made(known: Recorded | None) -> bool:
    """Whether what the state tells of was there once."""
    return known is not None and known.status != "creating"


def api(member: PatroniMember) -> PatroniClient:
    """A client of a member's REST API."""
    return PatroniClient(member.address, member.api_port, member.operator)


def told(member: PatroniMember) -> NodeStatus | None:
    """What a member says of itself; None if it does not answer."""
    with suppress(ClientError):
        return api(member).status()
    return None


def group(machines: Iterable[Machine]) -> Groups:
    """Sort machines into their clusters, in the machines' order."""
    by_name = {machine.name: machine for machine in machines}
    etcd: dict[str, dict[str, EtcdMember]] = {}
    patroni: dict[str, dict[str, PatroniMember]] = {}
    standalone: dict[str, StandaloneServer] = {}
    for name, machine in by_name.items():
        member = machine.membership
        if isinstance(member, EtcdMember):
            etcd.setdefault(member.cluster, {})[name] = member
        elif isinstance(member, PatroniMember):
            patroni.setdefault(member.scope, {})[name] = member
        elif isinstance(member, StandaloneServer):
            standalone[name] = member
    return Groups(
        {name: EtcdCluster(name, members) for name, members in etcd.items()},
        {name: PatroniScope(name, members) for name, members in patroni.items()},
        standalone,
        by_name,
    )


def layers(machines: Iterable[Machine]) -> list[list[str]]:
    """Machines that may start together, in the order in which they need each other."""
    chosen = list(machines)
    found = ([m.name for m in chosen if isinstance(m.membership, kind)] for kind in ORDER)
    return [layer for layer in found if layer]
