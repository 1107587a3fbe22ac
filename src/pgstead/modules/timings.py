"""The timings of each of a stack's clusters, from its modules, and what is the matter with them.

What one module alone can tell stands among its own cautions; here is what takes several.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pgstead.membership import EtcdMember, PatroniMember
from pgstead.modules.checks import Built
from pgstead.modules.etcd_server.openstack import OpenstackEtcdServer
from pgstead.modules.etcd_server.timings import etcd_timings
from pgstead.modules.etcd_server.variables import EtcdServer
from pgstead.modules.patroni_server.timings import (
    client_timings,
    patroni_timings,
    replication,
    server_timings,
)
from pgstead.modules.patroni_server.variables import PatroniServer
from pgstead.modules.postgres_load_balancer.timings import balancer_timings
from pgstead.modules.postgres_load_balancer.variables import PostgresLoadBalancer
from pgstead.timings.rules import findings
from pgstead.timings.settings import Settings
from pgstead.timings.warnings import sentence

__all__ = ["ClusterTimings", "cluster_timings", "joint_cautions"]


@dataclass(frozen=True, slots=True)
class ClusterTimings:
    """The timings of one Patroni cluster and of what serves it.

    `modules` are the keys of the modules that each part of the settings is read from.
    """

    scope: str
    settings: Settings
    modules: Mapping[str, str]


def cluster_timings(built: Sequence[Built]) -> tuple[ClusterTimings, ...]:
    """Of each Patroni cluster, in the file's order; its members agree, the first one tells."""
    scopes: dict[str, list[Built]] = {}
    for one in built:
        if isinstance(one.machine.membership, PatroniMember):
            scopes.setdefault(one.machine.membership.scope, []).append(one)
    return tuple(_of_scope(scope, members, built) for scope, members in scopes.items())


def _of_scope(scope: str, members: Sequence[Built], built: Sequence[Built]) -> ClusterTimings:
    first = members[0]
    assert isinstance(first.variables, PatroniServer)  # noqa: S101 - a PatroniMember's is
    variables, key = first.variables, first.module.key
    found = ClusterTimings(
        scope,
        Settings(
            patroni=patroni_timings(variables.patroni),
            replication=replication(variables.patroni, len(members)),
            server=server_timings(variables.postgres),
            client=client_timings(variables.postgres.client),
        ),
        dict.fromkeys(("patroni", "replication", "server", "client"), key),
    )
    addresses = {one.machine.address for one in members}
    return _with_balancer(_with_etcd(found, first, built), addresses, built)


def _with_etcd(found: ClusterTimings, member: Built, built: Iterable[Built]) -> ClusterTimings:
    patroni = member.machine.membership
    wanted = patroni.etcd_cluster if isinstance(patroni, PatroniMember) else None
    etcds = [one for one in built if _etcd_cluster(one) == wanted is not None]
    if not etcds:
        return found
    first = etcds[0].variables
    variables = first.member if isinstance(first, OpenstackEtcdServer) else first
    assert isinstance(variables, EtcdServer)  # noqa: S101 - an EtcdMember's are
    part = etcd_timings(variables, len(etcds))
    return _with(found, replace(found.settings, etcd=part), "etcd", etcds[0])


def _etcd_cluster(one: Built) -> str | None:
    membership = one.machine.membership
    return membership.cluster if isinstance(membership, EtcdMember) else None


def _with_balancer(
    found: ClusterTimings, addresses: set[str], built: Sequence[Built]
) -> ClusterTimings:
    """The first load balancer in front of these members, or one that finds them by a name."""
    for one in built:
        if not isinstance(one.variables, PostgresLoadBalancer):
            continue
        haproxy = one.variables.haproxy
        if haproxy.postgres_domain or addresses & {member.ip for member in haproxy.members}:
            part = balancer_timings(haproxy)
            return _with(found, replace(found.settings, balancer=part), "balancer", one)
    return found


def _with(found: ClusterTimings, settings: Settings, part: str, one: Built) -> ClusterTimings:
    modules = {**found.modules, part: one.module.key}
    return replace(found, settings=settings, modules=modules)


def joint_cautions(clusters: Iterable[ClusterTimings]) -> Iterator[tuple[str, str]]:
    """Modules with what is the matter with their timings only beside other modules'."""
    for cluster in clusters:
        alone = {found for part in _parts(cluster.settings) for found in findings(part)}
        for found in findings(cluster.settings):
            if found not in alone:
                yield cluster.modules[found.key.partition(".")[0]], sentence(found)


def _parts(settings: Settings) -> Iterator[Settings]:
    yield Settings(patroni=settings.patroni)
    yield Settings(etcd=settings.etcd)
    yield Settings(balancer=settings.balancer)
