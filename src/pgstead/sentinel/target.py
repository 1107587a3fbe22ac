"""What a sentinel has to know of a cluster, and nothing more; kept as JSON for its service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pgstead.clusters.groups import EtcdCluster, Groups, PatroniScope
from pgstead.membership import EtcdUser, TlsClient

USER = "sentinel"
"""Its user in etcd, whose permissions are those that it needs (`spec.expansion`)."""

ENOUGH = 2
"""Members: with one alone nobody could take over."""


@dataclass(frozen=True, slots=True)
class Place:
    """A Patroni member: its name there, its machine, and where its API is."""

    name: str
    machine: str
    address: str
    api_port: int


@dataclass(frozen=True, slots=True)
class Target:
    """A Patroni cluster. `prefix` is that of its keys in etcd, with a slash at its end."""

    scope: str
    prefix: str
    members: tuple[Place, ...]
    endpoints: tuple[tuple[str, int], ...]
    patroni_tls: TlsClient = field(repr=False)
    etcd_tls: TlsClient = field(repr=False)
    password: str = field(repr=False)

    @property
    def machine_of(self) -> Mapping[str, str]:
        """The members' machines."""
        return {one.name: one.machine for one in self.members}

    def to_json(self) -> dict[str, Any]:
        """JSON values, to be read by `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Target:
        """Raises `KeyError` or `TypeError` for what is none."""
        return cls(
            scope=said["scope"],
            prefix=said["prefix"],
            members=tuple(Place(**one) for one in said["members"]),
            endpoints=tuple((host, port) for host, port in said["endpoints"]),
            patroni_tls=TlsClient(**said["patroni_tls"]),
            etcd_tls=TlsClient(**said["etcd_tls"]),
            password=said["password"],
        )


def targets(groups: Groups) -> tuple[Target, ...]:
    """The clusters that a sentinel can watch: several members, and an etcd user for it."""
    return tuple(_targets(groups))


def _targets(groups: Groups) -> Iterator[Target]:
    for scope in groups.patroni.values():
        cluster = groups.etcd.get(scope.first.etcd_cluster or "")
        user = _user(cluster, scope.prefix) if cluster else None
        if cluster and user and len(scope.members) >= ENOUGH:
            yield _target(scope, cluster, user)


def _user(cluster: EtcdCluster, prefix: str) -> EtcdUser | None:
    users = cluster.access.users if cluster.access else ()
    mine = (user for user in users if user.name == USER)
    return next((user for user in mine if f"{prefix}leader" in user.write_keys), None)


def _target(scope: PatroniScope, cluster: EtcdCluster, user: EtcdUser) -> Target:
    members = scope.members.items()
    voters = tuple(cluster.members.values())
    return Target(
        scope=scope.name,
        prefix=scope.prefix,
        members=tuple(Place(m.name, machine, m.address, m.api_port) for machine, m in members),
        endpoints=tuple((one.address, one.client_port) for one in voters),
        patroni_tls=scope.first.operator,
        etcd_tls=voters[0].operator,
        password=user.password,
    )
