"""Looking at a cluster right before a round: who leads, who follows, whom commits wait for."""

from __future__ import annotations

from pathlib import Path

from pgstead.clients.patroni import ClusterView
from pgstead.clusters import patroni_view
from pgstead.clusters.etcd_view import roles
from pgstead.clusters.groups import Groups, PatroniScope
from pgstead.drills.fault import Scene
from pgstead.errors import NotReady, SpecError
from pgstead.membership import LoadBalancer
from pgstead.platforms.base import Platform


def look(platform: Platform, groups: Groups, notes: Path | None = None) -> Scene:
    """The scene; `notes` is the file for what faults have to bring back.

    Raises `NotReady` or `ClientError` if nobody leads or answers.
    """
    scope = scope_of(groups)
    seen = patroni_view.ask(scope)
    if seen is None:
        raise NotReady("no Patroni member answers", hint="see `pgstead status`")
    leader = _leader(seen[0], scope)
    standbys = {
        machine: member.is_synchronous
        for member in seen[0].members
        if not member.is_leader and (machine := scope.machine_of(member.name))
    }
    etcd = {k: role for cluster in groups.etcd.values() for k, role in roles(cluster).items()}
    return Scene(
        platform,
        groups,
        scope,
        leader,
        tuple(standbys),
        tuple(machine for machine, synchronous in standbys.items() if synchronous),
        tuple(name for cluster in groups.etcd.values() for name in cluster.members),
        next((name for name, role in etcd.items() if role == "leader"), None),
        balancers(groups),
        notes,
    )


def scope_of(groups: Groups) -> PatroniScope:
    """The one Patroni cluster. Raises `SpecError` if there is none, or more than one."""
    scopes = list(groups.patroni.values())
    if len(scopes) != 1:
        names = ", ".join(groups.patroni) or "none"
        raise SpecError(
            f"a drill is for a stack with one Patroni cluster, and this one has {names}",
            hint="without one, nothing takes over from a server that is broken",
        )
    return scopes[0]


def balancers(groups: Groups) -> tuple[str, ...]:
    """The machines of the load balancers."""
    machines = groups.machines.items()
    return tuple(name for name, one in machines if isinstance(one.membership, LoadBalancer))


def _leader(view: ClusterView, scope: PatroniScope) -> str:
    machine = scope.machine_of(view.leader.name) if view.leader else None
    if machine is None:
        raise NotReady("no Patroni member leads", hint="see `pgstead status`")
    return machine
