"""The modules there are, by the name that a stack file's `source` gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from pgstead.machine import Machine
from pgstead.modules.base import Context
from pgstead.modules.etcd_server import machine as etcd
from pgstead.modules.etcd_server import openstack as openstack_etcd
from pgstead.modules.etcd_server.kvm import KvmEtcdServer
from pgstead.modules.etcd_server.outputs import OF_OPENSTACK as OPENSTACK_ETCD_OUTPUTS
from pgstead.modules.etcd_server.outputs import OUTPUTS as ETCD_OUTPUTS
from pgstead.modules.etcd_server.variables import EtcdServer
from pgstead.modules.outputs import COMMON, Output
from pgstead.modules.parts.certificates import Issuing
from pgstead.modules.patroni_server import machine as patroni
from pgstead.modules.patroni_server.kvm import KvmPatroniServer
from pgstead.modules.patroni_server.outputs import OUTPUTS as PATRONI_OUTPUTS
from pgstead.modules.patroni_server.variables import PatroniServer
from pgstead.modules.postgres_load_balancer import machine as load_balancer
from pgstead.modules.postgres_load_balancer.kvm import KvmPostgresLoadBalancer
from pgstead.modules.postgres_load_balancer.outputs import OUTPUTS as LOAD_BALANCER_OUTPUTS
from pgstead.modules.postgres_load_balancer.variables import PostgresLoadBalancer
from pgstead.modules.postgres_server import machine as postgres
from pgstead.modules.postgres_server.kvm import KvmPostgresServer
from pgstead.modules.postgres_server.outputs import OUTPUTS as POSTGRES_OUTPUTS
from pgstead.modules.postgres_server.variables import PostgresServer

__all__ = ["KINDS", "MODELS", "Kind"]

Shared = Callable[[Any], tuple[str, Mapping[str, object]]]
"""The cluster that a member belongs to, in words, and what its members must agree on."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of module: its variables, the machine they make, and its outputs by name."""

    model: type[Issuing]
    machine: Callable[[Any, Context], Machine]
    outputs: Mapping[str, Output]
    shared: Shared | None = None
    named: Callable[[Callable[[str], Any]], Any] = lambda get: get("name")
    """The machine's name, by `get(variable)` of variables that may not be checked yet."""


_OURS: Mapping[str, Kind] = {
    "etcd-server": Kind(EtcdServer, etcd.machine, {**COMMON, **ETCD_OUTPUTS}, etcd.shared),
    "patroni-server": Kind(
        PatroniServer, patroni.machine, {**COMMON, **PATRONI_OUTPUTS}, patroni.shared
    ),
    "postgres-load-balancer": Kind(
        PostgresLoadBalancer, load_balancer.machine, {**COMMON, **LOAD_BALANCER_OUTPUTS}
    ),
    "postgres-server": Kind(PostgresServer, postgres.machine, {**COMMON, **POSTGRES_OUTPUTS}),
}

_OF_OLD: Mapping[str, type[Issuing]] = {
    "kvm-etcd-server": KvmEtcdServer,
    "kvm-patroni-server": KvmPatroniServer,
    "kvm-postgres-load-balancer": KvmPostgresLoadBalancer,
    "kvm-postgres-server": KvmPostgresServer,
}
"""The same modules under their names of old: only the rules for their variables differ."""

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        **_OURS,
        **{
            name: replace(_OURS[name.removeprefix("kvm-")], model=model)
            for name, model in _OF_OLD.items()
        },
        "openstack-etcd-server": Kind(
            openstack_etcd.OpenstackEtcdServer,
            openstack_etcd.machine,
            {**COMMON, **OPENSTACK_ETCD_OUTPUTS},
            openstack_etcd.shared,
            openstack_etcd.named,
        ),
    }
)

MODELS: Mapping[str, type[Issuing]] = MappingProxyType(
    {name: kind.model for name, kind in KINDS.items()}
)
"""The variables of each kind of module."""
