"""What a machine is a part of: enough to look after the cluster, told by its machines alone.

The settings that belong to a whole cluster (etcd's users, Patroni's dynamic
configuration, PostgreSQL's roles) ride on its members, so that machines stay the only
thing between modules and the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class TlsClient:
    """PEM texts with which an operator reaches a server: its authority, and a certificate."""

    ca: str
    certificate: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class EtcdUser:
    """An etcd user, confined.

    It may read and write the keys below `prefixes`, only read those below `read_prefixes`, and
    write each of the single keys `write_keys`.
    """

    name: str
    password: str = field(repr=False)
    prefixes: tuple[str, ...] = ()
    read_prefixes: tuple[str, ...] = ()
    write_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EtcdAccess:
    """Authentication of an etcd cluster.

    A root without password is reached by certificate. pgstead itself, which speaks to the
    gateway, that takes no user's certificate, then is a user of its own who has root's role
    and `operator_password`.
    """

    root_password: str | None = field(repr=False)
    users: tuple[EtcdUser, ...] = ()
    operator_password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class EtcdMember:
    """A member of an etcd cluster; `cluster` is its token. One member carries `access`."""

    cluster: str
    name: str
    address: str
    operator: TlsClient
    client_port: int = 2379
    peer_port: int = 2380
    access: EtcdAccess | None = None


@dataclass(frozen=True, slots=True)
class Role:
    """A PostgreSQL login role. `managed_by_patroni` ones are created by Patroni's bootstrap."""

    name: str
    password: str = field(repr=False)
    superuser: bool = False
    replication: bool = False
    managed_by_patroni: bool = False


@dataclass(frozen=True, slots=True)
class Database:
    """A PostgreSQL database and the role that owns it."""

    name: str
    owner: str


@dataclass(frozen=True, slots=True)
class PostgresAccess:
    """Roles and databases of a PostgreSQL server or cluster; the first role is its superuser."""

    roles: tuple[Role, ...]
    databases: tuple[Database, ...] = ()

    @property
    def superuser(self) -> Role:
        """The role with which everything else is set up."""
        return self.roles[0]


@dataclass(frozen=True, slots=True)
class PatroniMember:
    """A member of a Patroni cluster.

    `settings` is the dynamic configuration in Patroni's own shape (`ttl`, `loop_wait`,
    `postgresql: {parameters: ...}`); all members of a scope carry the same. `sync_path` is
    a data folder, by the machine's own path, that was filled without waiting for the disk:
    its file system is to be synced once before the member counts as ready. `client` are
    libpq's parameters, with their values, that its clients are given along.
    """

    scope: str
    namespace: str
    name: str
    address: str
    operator: TlsClient
    settings: Mapping[str, Any]
    access: PostgresAccess
    etcd_cluster: str | None = None
    api_port: int = 4443
    port: int = 5432
    sync_path: str | None = None
    client: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class StandaloneServer:
    """A PostgreSQL server of its own: its data exists nowhere else."""

    name: str
    address: str
    ca: str
    access: PostgresAccess
    port: int = 5432


@dataclass(frozen=True, slots=True)
class LoadBalancer:
    """A load balancer in front of a Patroni cluster; a port that is None is not served."""

    name: str
    address: str
    operator: TlsClient
    members: tuple[str, ...] = ()
    port: int = 5432
    read_only_port: int | None = 5433
    api_port: int | None = 4443
    statistics_port: int | None = 8404


@dataclass(frozen=True, slots=True)
class Watcher:
    """A sentinel, which watches the Patroni cluster of that scope from outside its machines."""

    scope: str


Membership = EtcdMember | PatroniMember | StandaloneServer | LoadBalancer | Watcher
