"""From machines to the resources of their clusters, and the order among them all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from pgstead.clusters import etcd, patroni, places, postgres, postgres_content
from pgstead.clusters.groups import Groups, group
from pgstead.engine.resource import Resource
from pgstead.machine import Machine
from pgstead.membership import EtcdMember, Watcher
from pgstead.platforms.base import Digest


def lower(machines: Iterable[Machine], digest: Digest) -> tuple[Resource, ...]:
    """The resources `etcd.<cluster>`, `patroni.<scope>` and `postgres.<scope or server>`.

    Each comes after its members' machines. The last two do not wait for each other: roles
    are made as soon as there is a primary, while standbys still copy.
    """
    groups = group(machines)
    found = [etcd.lower(cluster, digest) for cluster in groups.etcd.values()]
    found += [patroni.lower(scope) for scope in groups.patroni.values()]
    found += [postgres.lower(target, digest) for target in postgres.targets(groups).values()]
    return tuple(resource for resource in found if resource is not None)


def order(machines: Iterable[Machine]) -> Mapping[str, tuple[str, ...]]:
    """What machine resources come after, besides what their machines say.

    Patroni pauses for five seconds where etcd does not answer. It does not wait for its user
    in etcd, which is made while Patroni starts: it takes no login where etcd asks for none, and
    logs in as soon as etcd does.
    """
    groups = group(machines)
    found = [
        (name, groups.etcd.get(member.etcd_cluster or ""))
        for scope in groups.patroni.values()
        for name, member in scope.members.items()
    ]
    members = {
        f"machine.{name}": tuple(f"machine.{etcd}" for etcd in cluster.members)
        for name, cluster in found
        if cluster is not None
    }
    return {**members, **_watchers(groups)}


def _watchers(groups: Groups) -> dict[str, tuple[str, ...]]:
    """A sentinel comes after the whole cluster that it watches: it must delay none of it."""
    found = {
        name: groups.patroni[one.membership.scope]
        for name, one in groups.machines.items()
        if isinstance(one.membership, Watcher)
    }
    return {
        f"machine.{name}": (scope.address, scope.postgres_address) for name, scope in found.items()
    }


def _alone(machines: Iterable[Machine]) -> frozenset[str]:
    """The only members of their clusters: what they hold is nowhere else."""
    groups = group(machines)
    members = [tuple(cluster.members) for cluster in groups.etcd.values()]
    members += [tuple(scope.members) for scope in groups.patroni.values()]
    return frozenset(f"machine.{names[0]}" for names in members if len(names) == 1)


ETCD_LOSS = (
    "what etcd holds: Patroni's leader key, dynamic configuration and history "
    "(PostgreSQL's own data is untouched)"
)


def annotate(resources: Iterable[Resource], machines: Iterable[Machine]) -> tuple[Resource, ...]:
    """A platform's machine resources with the order above, and what the state keeps of them."""
    by_address = {f"machine.{machine.name}": machine for machine in machines}
    waits, alone = order(by_address.values()), _alone(by_address.values())

    def annotated(resource: Resource) -> Resource:
        address = resource.address
        machine = by_address.get(address)
        if machine is None:
            return resource
        is_etcd = isinstance(machine.membership, EtcdMember)
        return replace(
            resource,
            after=tuple(dict.fromkeys((*resource.after, *waits.get(address, ())))),
            place={**resource.place, **places.of(machine)},
            only_copy=resource.only_copy or address in alone,
            loss=ETCD_LOSS if is_etcd else resource.loss,
            refused=machine.refused,
        )

    return tuple(map(annotated, resources))


def passwords(machines: Iterable[Machine]) -> dict[str, str]:
    """Every password that the cluster resources apply, by `<resource address>/<attribute key>`.

    Whoever keeps them once a resource is ready can give them back as `previous` when they
    have changed, so that servers which still have the old ones can be reached.
    """
    groups = group(machines)
    found: dict[str, str] = {}
    for cluster in groups.etcd.values():
        for key, password in etcd.passwords(cluster).items():
            found[f"{cluster.address}/{key}"] = password
    for target in postgres.targets(groups).values():
        for role in target.access.roles:
            key = postgres_content.password_key(role.name)
            found[f"{target.address}/{key}"] = role.password
    return found
