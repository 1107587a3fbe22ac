"""The short form of a stack: a cluster, which `expand` turns into modules."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from pgstead.spec.machines import (
    BalancerMachine,
    Download,
    EtcdMachine,
    Machines,
    PackageSource,
    PatroniInstall,
    PostgresMachine,
    Watchdog,
)
from pgstead.spec.models import (
    Duration,
    Host,
    Model,
    Network,
    Port,
    Problems,
    Setting,
    Text,
    Version,
)
from pgstead.spec.timings import Timings

_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")


def _identifier(value: str) -> str:
    if not _IDENTIFIER.fullmatch(value) and "${" not in value:
        raise ValueError("must be at most 63 lower-case letters, digits and underscores")
    return value


Identifier = Annotated[Text, AfterValidator(_identifier)]
"""A PostgreSQL name that needs no quotes."""


class Synchronous(Model):
    """Synchronous replication: a commit is confirmed once standbys have it on disk."""

    strict: bool = Field(
        True,
        description="Whether writes wait while no standby can confirm them; without it they go "
        "on, and a failover may then lose them.",
    )
    node_count: int = Field(
        1, ge=1, le=8, description="How many standbys must confirm; fewer than there are."
    )
    mode: Literal["on", "quorum"] = Field(
        "quorum",
        description="quorum: any node_count of the standbys. on: named ones, whose loss stops "
        "writes until another is named.",
    )


class Application(Model):
    """The role and the database that pgstead makes for an application."""

    role: Identifier = Field("app", description="The role, which owns the database.")
    database: Identifier = Field("app", description="The database.")


class Postgres(Model):
    """The PostgreSQL servers, run by Patroni."""

    version: Version | None = Field(
        None,
        description="The major version, e.g. 15; by default the newest that is installed when the "
        "cluster is made. It stays: another one cannot open the data, and is refused.",
    )
    members: int = Field(3, ge=1, le=9, description="How many PostgreSQL servers.")
    synchronous: Synchronous | Literal[False] | None = Field(
        None,
        description="Synchronous replication, or false. By default strict with one confirming "
        "standby, where there is more than one member.",
    )
    maximum_lag_on_failover: int | None = Field(
        None,
        ge=0,
        description="Bytes of WAL that a member may lack and still take over, where replication "
        "is not synchronous: how much a failover may lose. 1048576 by default.",
    )
    parameters: dict[str, Setting] = Field(
        {}, description="PostgreSQL parameters by name, e.g. shared_buffers: 256MB."
    )
    allowed_networks: tuple[Network, ...] | None = Field(
        None,
        min_length=1,
        description="Networks that may log in, where pg_hba is not given; by default any, and on "
        "the local platform this machine only.",
    )
    pg_hba: tuple[Text, ...] | None = Field(
        None,
        min_length=1,
        description="Lines of pg_hba.conf that replace the default ones, which take encrypted "
        "connections with scram-sha-256 passwords only.",
    )
    application: Application = Field(
        default_factory=Application,
        description="The role and the database made for an application.",
    )
    use_pg_rewind: bool = Field(
        True, description="Whether an old primary is rewound to follow, instead of copied anew."
    )
    names: tuple[Host, ...] = Field(
        (), description="Further DNS names and addresses in the servers' certificates."
    )
    machine: PostgresMachine = Field(
        default_factory=PostgresMachine, description="The servers' machines."
    )
    watchdog: Watchdog = Field(
        "softdog",
        description="What resets a virtual machine whose Patroni hangs: its kernel's softdog, a "
        "device of the machine (i6300esb), or nothing (off).",
    )
    patroni_version: Annotated[Text, Field(pattern=r"^\d+(\.\d+)*$")] | None = Field(
        None, description="Version of Patroni on virtual machines, 4.0 or newer."
    )
    patroni_install: PatroniInstall = Field(
        "venv",
        description="Where Patroni comes from on virtual machines: PyPI, into a virtual "
        "environment, or a package of package_source.",
    )
    package_source: PackageSource = Field(
        "distribution",
        description="Whose packages are installed on virtual machines: the distribution's, or "
        "those of PostgreSQL's own apt repository.",
    )

    @property
    def replication(self) -> Synchronous | None:
        """The synchronous replication that holds, None where it is asynchronous."""
        if self.synchronous is None:
            return Synchronous() if self.members > 1 else None
        return self.synchronous or None


class Etcd(Model):
    """The etcd members, which agree on who leads."""

    members: int = Field(3, ge=1, le=7, description="How many etcd members; odd, best 3 or 5.")
    auto_compaction_mode: Literal["periodic", "revision"] = Field(
        "periodic", description="What auto_compaction_retention counts: time, or revisions."
    )
    auto_compaction_retention: Duration | Annotated[int, Field(ge=0)] = Field(
        "1h", description="How much history is kept: a time span, or a number of revisions."
    )
    space_quota: int = Field(
        8 * 1024**3,
        ge=64 * 1024**2,
        le=64 * 1024**3,
        description="Bytes that etcd's data may take before it refuses writes.",
    )
    machine: EtcdMachine = Field(default_factory=EtcdMachine, description="The members' machines.")
    download: Download | None = Field(
        None, description="An archive of etcd to install on virtual machines, not packages."
    )


class ReadOnly(Model):
    """The endpoint for reading from standbys."""

    enabled: bool = Field(True, description="Whether it is served.")
    port: Port = Field(5433, description="Its port.")
    fallback: Literal["none", "primary"] = Field(
        "none",
        description="Where sessions go while no standby streams: nowhere, or to the primary, "
        "where they can write.",
    )
    maximum_lag: Annotated[Text, Field(pattern=r"^[0-9]+ ?([kMGT]?B)?$")] | None = Field(
        None, description="A standby that lacks more than this, e.g. 16MB, gets no sessions."
    )


class Api(Model):
    """The endpoint for the primary's Patroni API."""

    enabled: bool = Field(True, description="Whether it is served.")
    port: Port = Field(4443, description="Its port.")


class Statistics(Model):
    """HAProxy's page of statistics; it wants a client certificate."""

    enabled: bool = Field(True, description="Whether it is served.")
    port: Port = Field(8404, description="Its port.")


class LoadBalancer(Model):
    """The load balancers, which lead sessions to the primary on port 5432."""

    members: int = Field(1, ge=0, le=9, description="How many load balancers; 0 for none.")
    read_only: ReadOnly = Field(default_factory=ReadOnly, description="The endpoint for reading.")
    api: Api = Field(default_factory=Api, description="The endpoint for the primary's Patroni API.")
    statistics: Statistics = Field(
        default_factory=Statistics, description="HAProxy's page of statistics."
    )
    max_connections: int = Field(
        1000, ge=10, le=1_000_000, description="How many sessions a load balancer takes at most."
    )
    machine: BalancerMachine = Field(
        default_factory=BalancerMachine, description="The load balancers' machines."
    )


class Cluster(Model):
    """A highly available PostgreSQL: etcd, PostgreSQL under Patroni, load balancers."""

    postgres: Postgres = Field(default_factory=Postgres, description="The PostgreSQL servers.")
    etcd: Etcd = Field(default_factory=Etcd, description="The etcd members.")
    load_balancer: LoadBalancer = Field(
        default_factory=LoadBalancer, description="The load balancers."
    )
    timings: Timings = Field(
        default_factory=Timings, description="How fast the cluster notices and acts on a failure."
    )
    machines: Machines = Field(
        default_factory=Machines, description="What all of the machines have alike."
    )

    @model_validator(mode="after")
    def _possible(self) -> Cluster:
        from pgstead.spec.rules import refusals  # noqa: PLC0415 - rules is about this model

        found = tuple(refusals(self))
        if found:
            raise Problems(found)
        return self
