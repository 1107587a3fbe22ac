"""An etcd member on OpenStack by its name of old: flat variables, one member like any other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from pgstead.machine import Machine
from pgstead.modules.base import Context
from pgstead.modules.etcd_server import machine as etcd
from pgstead.modules.etcd_server.variables import (
    GIBIBYTE,
    Authentication,
    Cluster,
    Etcd,
    EtcdServer,
    EtcdVersion,
    InitialMember,
)
from pgstead.modules.parts.certificates import YEAR, Issuing, SigningAuthority
from pgstead.modules.parts.cloud import CloudServer, RequiredPort
from pgstead.modules.parts.downloads import Download
from pgstead.modules.parts.guest import DataDisk, Furnished
from pgstead.modules.parts.model import HostName, Hours, Line, Many, problem

__all__ = ["OpenstackEtcdServer", "machine", "named", "shared"]

_OTHERWISE = {"source", "name", "certificate_early_renewal_period"}
"""Variables that `etcd-server` has as well, but with another meaning."""

_SHARED = ("etcd_auto_compaction_mode", "etcd_auto_compaction_retention", "etcd_space_quota")


class OpenstackEtcdServer(CloudServer, Furnished, DataDisk, Issuing):
    """Variables of the module `openstack-etcd-server`."""

    source: Literal["openstack-etcd-server"] = Field(
        default="openstack-etcd-server", description="The module."
    )
    name: HostName = Field(
        description="Name of the member in its cluster, and of its machine; see namespace."
    )
    namespace: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)?$",
        description="Suffix that makes the name <name>-<namespace>, to be unique in the cloud.",
    )
    image_id: Line = Field(min_length=1, description="Image of the system, by id or name.")
    os_size: int | None = Field(
        default=None, ge=1, description="Size of the volume of boot_from_volume, in GiB. Ours."
    )
    flavor_id: Line = Field(min_length=1, description="Size of the server, by id or name.")
    network_port: RequiredPort = Field(
        description="Port that connects it: an existing one by id or name, or one to make."
    )
    keypair_name: Line = Field(
        min_length=1, description="Existing key pair whose key may log in, beside pgstead's own."
    )
    etcd_version: EtcdVersion = Field(
        default="v3.4.15", description="Release of etcd to install, from its makers."
    )
    etcd_download: Download | None = Field(
        default=None, description="An archive of etcd to install instead of that release. Ours."
    )
    etcd_auto_compaction_mode: Literal["periodic", "revision"] = Field(
        default="revision",
        description="What etcd_auto_compaction_retention counts: time or revisions.",
    )
    etcd_auto_compaction_retention: Line | int = Field(
        default="1000",
        description="What auto compaction keeps: a period like 1h, or a number of revisions.",
    )
    etcd_space_quota: int = Field(
        default=8 * GIBIBYTE,
        gt=0,
        description="Most disk space the data may take, in bytes; then etcd is read-only.",
    )
    is_initial_cluster: bool = Field(
        default=True, description="Whether the cluster is made together with this member."
    )
    initial_cluster_token: Line = Field(
        default="etcd-cluster", min_length=1, description="Token that tells clusters apart."
    )
    initial_cluster: Many[InitialMember] = Field(
        min_length=1, description="Members of the cluster when this one starts for the first time."
    )
    ca: str | SigningAuthority = Field(
        description=(
            "Authority that signs the member's certificate: the name of one of the stack's"
            " certificate_authorities, or {key, key_algorithm, certificate}."
        )
    )
    certificate_validity_period: Hours = Field(
        default=100 * YEAR, description="How long the certificate is valid, in hours."
    )
    certificate_early_renewal_period: Hours = Field(
        default=99 * YEAR, description="How long after its issue it is renewed, in hours."
    )
    key_length: Literal[2048, 3072, 4096] | None = Field(
        default=4096, description="Length of the certificate's RSA key in bits. Ours."
    )
    bootstrap_authentication: bool = Field(
        default=False,
        description=(
            "Whether authentication is set up through this member, with a root that has a"
            " certificate and no password; true on one only."
        ),
    )

    @property
    def machine_name(self) -> str:
        """The name of the machine, and of the member in its cluster."""
        return full_name(self.name, self.namespace)

    @property
    def wanted_ip(self) -> str | None:
        """The address that these variables give."""
        return self.network_port.ip

    @property
    def early_renewal(self) -> int:
        """How long before its end a certificate is renewed, in hours."""
        return self.certificate_validity_period - self.certificate_early_renewal_period

    @property
    def member(self) -> EtcdServer:
        """The same, in the variables of `etcd-server`."""
        alike = EtcdServer.model_fields.keys() & self.model_fields_set - _OTHERWISE
        return EtcdServer(
            **{
                "etcd_version": self.etcd_version if self.etcd_download is None else None,
                "key_length": self.key_length,
                "certificate_validity_period": self.certificate_validity_period,
                **{name: getattr(self, name) for name in alike - {"etcd_version"}},
                "name": self.machine_name,
                "image": self.image_id,
                "flavor": self.flavor_id,
                "certificate_early_renewal_period": self.early_renewal,
                "etcd": self._settings(),
                "cluster": self._cluster(),
                "authentication_bootstrap": Authentication(bootstrap=self.bootstrap_authentication),
            }
        )

    def _settings(self) -> Etcd:
        """With the gateway, which pgstead itself goes through."""
        return Etcd(
            auto_compaction_mode=self.etcd_auto_compaction_mode,
            auto_compaction_retention=self.etcd_auto_compaction_retention,
            space_quota=self.etcd_space_quota,
            grpc_gateway_enabled=True,
        )

    def _cluster(self) -> Cluster:
        """Members are called in `initial_cluster` as their variable `name` says."""
        return Cluster(
            is_initializing=self.is_initial_cluster,
            initial_token=self.initial_cluster_token,
            initial_members=tuple(
                InitialMember(name=full_name(one.name, self.namespace), ip=one.ip)
                for one in self.initial_cluster
            ),
        )

    @model_validator(mode="after")
    def _is_a_member(self) -> Self:
        names = [one.name for one in self.initial_cluster]
        if len(set(names)) != len(names):
            raise problem("names a member twice", "initial_cluster")
        if self.is_initial_cluster and self.name not in names:
            raise problem(f"lacks this member, {self.name!r}", "initial_cluster")
        return self

    @model_validator(mode="after")
    def _name_is_a_hosts(self) -> Self:
        if len(self.machine_name) > _LONGEST:
            raise problem(f"makes a name longer than {_LONGEST} characters", "namespace")
        return self

    @model_validator(mode="after")
    def _renewed_in_time(self) -> Self:
        if self.certificate_early_renewal_period >= self.certificate_validity_period:
            words = "must be less than certificate_validity_period: it counts from the issue"
            raise problem(words, "certificate_early_renewal_period")
        return self


_LONGEST = 63
"""Characters of a label of a host name (RFC 1123)."""


def full_name(name: str, namespace: str) -> str:
    """`<name>-<namespace>`, or the name alone without a namespace."""
    return f"{name}-{namespace}" if namespace else name


def named(get: Callable[[str], Any]) -> Any:
    """The machine's name, by `get(variable)` of variables that may not be checked yet."""
    name, namespace = get("name"), get("namespace")
    both = isinstance(name, str) and isinstance(namespace, str)
    return full_name(name, namespace) if both else name


def machine(variables: OpenstackEtcdServer, context: Context) -> Machine:
    """The machine of an etcd member, whose certificate bears the cluster's token."""
    token = variables.initial_cluster_token
    return etcd.machine(variables.member, context, common_name=token)


def shared(variables: OpenstackEtcdServer) -> tuple[str, Mapping[str, object]]:
    """The cluster a member belongs to, and what all of its members must agree on."""
    cluster, _ = etcd.shared(variables.member)
    return cluster, {name: getattr(variables, name) for name in _SHARED}
