"""The variables of a member of an etcd cluster.

Names and defaults are those of the module it re-creates; a default of ours that has no
counterpart there says so in its description.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from pgstead.modules.parts.downloads import Download
from pgstead.modules.parts.fluentbit import EtcdFluentBit
from pgstead.modules.parts.fluentbit_dynamic import DynamicConfiguration
from pgstead.modules.parts.guest import DataGuest
from pgstead.modules.parts.model import (
    Address,
    Blank,
    HostName,
    Line,
    Many,
    Model,
    Secret,
    problem,
)
from pgstead.timings.rules import LEAST_HEARTBEATS

__all__ = ["Authentication", "Cluster", "Etcd", "EtcdServer", "InitialMember", "Tls", "User"]

GIBIBYTE = 1024**3


def _release(text: str | None) -> str | None:
    return text if text is None or text.startswith("v") else f"v{text}"


EtcdVersion = Annotated[
    Annotated[str, Field(pattern=r"^v?\d+\.\d+\.\d+$")] | None, Blank, AfterValidator(_release)
]
"""A release of etcd, as its makers write it: v3.4.15; an empty text is none."""


class Etcd(Model):
    """Settings of etcd itself; the same on every member of a cluster."""

    auto_compaction_mode: Literal["periodic", "revision"] = Field(
        default="revision", description="What auto_compaction_retention counts: time or revisions."
    )
    auto_compaction_retention: Line | int = Field(
        default="1000",
        description="What auto compaction keeps: a period like 1h, or a number of revisions.",
    )
    space_quota: int = Field(
        default=8 * GIBIBYTE,
        gt=0,
        description="Most disk space the data may take, in bytes; then etcd is read-only.",
    )
    grpc_gateway_enabled: bool = Field(
        default=False,
        description=(
            "Whether to serve the JSON interface, which Patroni uses. Together with"
            " client_cert_auth it wants client certificates without a common name. Where"
            " a member bootstraps authentication, all members serve it: pgstead goes through it."
        ),
    )
    client_cert_auth: bool = Field(
        default=True, description="Whether clients must show a certificate of the authority."
    )
    heartbeat_interval: int = Field(
        default=100, gt=0, description="Time between the leader's heartbeats, in milliseconds."
    )
    election_timeout: int = Field(
        default=1000,
        gt=0,
        le=50_000,
        description="Time without a heartbeat until an election, in milliseconds.",
    )

    @model_validator(mode="after")
    def _timeouts_fit(self) -> Self:
        if self.election_timeout < LEAST_HEARTBEATS * self.heartbeat_interval:
            raise ValueError(
                f"election_timeout {self.election_timeout} ms is less than five times"
                f" heartbeat_interval {self.heartbeat_interval} ms, which etcd refuses"
            )
        return self


class User(Model):
    """An etcd user of the cluster, confined to key prefixes."""

    name: Line = Field(min_length=1, description="Name of the user.")
    password: Secret = Field(description="Password of the user.")
    prefixes: Many[Line] = Field(
        default=(), description="Key prefixes the user may read and write."
    )
    read_prefixes: Many[Line] = Field(
        default=(), description="Key prefixes the user may only read. Ours."
    )
    write_keys: Many[Line] = Field(
        default=(), description="Single keys that the user may write. Ours."
    )


class Authentication(Model):
    """Who may use the cluster; given on one member for all."""

    bootstrap: bool = Field(
        default=False,
        description="Whether authentication is set up through this member; true on one only.",
    )
    root_password: Secret | None = Field(
        default=None,
        description="Password of root; with client_cert_auth, root may do without one.",
    )
    users: Many[User] = Field(default=(), description="Further users.")


class InitialMember(Model):
    """A member that is there from the start."""

    name: HostName = Field(description="Name of the member: its module's `name`.")
    ip: Address = Field(description="Address of the member.")


class Cluster(Model):
    """The cluster that the member belongs to."""

    is_initializing: bool = Field(
        default=True, description="Whether the cluster is made together with this member."
    )
    initial_token: Line = Field(
        default="etcd-cluster", min_length=1, description="Token that tells clusters apart."
    )
    initial_members: Many[InitialMember] = Field(
        min_length=1, description="Members of the cluster when this one starts for the first time."
    )


class Tls(Model):
    """Certificates made elsewhere."""

    ca_cert: str = Field(description="Certificate of the authority of members and clients, in PEM.")
    server_cert: str = Field(
        description=(
            "Certificate for servers and clients alike, for the member's address and"
            " 127.0.0.1, in PEM."
        )
    )
    server_key: Secret = Field(description="Private key of server_cert, in PEM.")


class EtcdServer(DataGuest):
    """Variables of the module `etcd-server`."""

    source: Literal["etcd-server", "kvm-etcd-server"] = Field(
        default="etcd-server", description="The module."
    )
    etcd: Etcd = Field(default_factory=Etcd, description="Settings of etcd.")
    authentication_bootstrap: Authentication = Field(
        default_factory=Authentication, description="Users of the cluster."
    )
    cluster: Cluster = Field(description="The cluster that the member belongs to.")
    tls: Tls | None = Field(
        default=None, description="Certificates made elsewhere; instead of `ca`."
    )
    etcd_version: EtcdVersion = Field(
        default=None,
        description="Release of etcd's makers to install instead of packages, on guests. Ours.",
    )
    etcd_download: Download | None = Field(
        default=None,
        description="An archive of etcd to install instead of packages, on guests. Ours.",
    )
    fluentbit: EtcdFluentBit = Field(
        default_factory=EtcdFluentBit, description="Logs, forwarded by fluent-bit; on guests."
    )
    fluentbit_dynamic_config: DynamicConfiguration = Field(
        default_factory=DynamicConfiguration,
        description="fluent-bit's configuration from elsewhere, kept current.",
    )

    @model_validator(mode="after")
    def _one_source_of_certificates(self) -> Self:
        if (self.ca is None) == (self.tls is None):
            raise ValueError("give one of `ca`, which issues certificates, and `tls`")
        return self

    @model_validator(mode="after")
    def _one_source_of_programs(self) -> Self:
        if self.etcd_version is not None and self.etcd_download is not None:
            raise problem("names a release, but etcd_download an archive", "etcd_version")
        return self

    @model_validator(mode="after")
    def _logs_can_be_sent(self) -> Self:
        self.fluentbit.check(self.fluentbit_dynamic_config)
        return self

    @model_validator(mode="after")
    def _is_a_member(self) -> Self:
        names = [member.name for member in self.cluster.initial_members]
        if len(set(names)) != len(names):
            raise ValueError("cluster.initial_members names a member twice")
        if self.cluster.is_initializing and self.name not in names:
            raise ValueError(f"cluster.initial_members lacks this member, {self.name!r}")
        return self

    @model_validator(mode="after")
    def _root_can_log_in(self) -> Self:
        bootstrap = self.authentication_bootstrap
        if bootstrap.bootstrap and not self.etcd.client_cert_auth and not bootstrap.root_password:
            raise ValueError(
                "authentication_bootstrap.root_password is needed without etcd.client_cert_auth"
            )
        return self
