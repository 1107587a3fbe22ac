"""Looking at a Patroni cluster: from its members' answers to what `rolling` decides on."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pgstead.clients.patroni import ClusterMember, ClusterView, NodeStatus
from pgstead.clusters import settings
from pgstead.clusters.deciding import first, together
from pgstead.clusters.groups import PatroniScope, api, told
from pgstead.clusters.rolling import Node, View
from pgstead.errors import ClientError
from pgstead.membership import PatroniMember


@dataclass(frozen=True, slots=True)
class Told:
    """What a member says of itself; `ready` that it leads, or streams without undue lag."""

    status: NodeStatus | None
    ready: bool


def ask(scope: PatroniScope) -> tuple[ClusterView, dict[str, Any]] | None:
    """The cluster's members and dynamic configuration, from the first that answers."""
    return first(_ask, scope.members)


def _ask(member: PatroniMember) -> tuple[ClusterView, dict[str, Any]] | None:
    client = api(member)
    with suppress(ClientError):
        return client.cluster(), client.config()
    return None


def leader(scope: PatroniScope) -> str | None:
    """The name of the member that leads, as the first that answers has it; None if none does."""
    return first(_leader, scope.members) or None


def _leader(member: PatroniMember) -> str | None:
    """Empty for nobody: all know the same, and are not asked for it one after the other."""
    with suppress(ClientError):
        found = api(member).cluster().leader
        return found.name if found else ""
    return None


def config(scope: PatroniScope) -> dict[str, Any] | None:
    """The dynamic configuration, from the first member that answers."""
    return first(_config, scope.members)


def _config(member: PatroniMember) -> dict[str, Any] | None:
    with suppress(ClientError):
        return api(member).config()
    return None


def waiting_for_restart(scope: PatroniScope) -> tuple[str, ...]:
    """The names of the members that say so; one that does not answer says nothing."""
    answers = together(told, scope.members).items()
    waiting = (machine for machine, one in answers if one and one.pending_restart)
    return tuple(sorted(scope.members[machine].name for machine in waiting))


def look(scope: PatroniScope, *, expected: frozenset[str] | None = None) -> View | None:
    """The cluster now; None if no member answers.

    What members published in etcd can be as old as `loop_wait`, so each that should serve
    is asked itself whether it does and what waits for a restart; the others have enough to
    do, and every question costs them an attempt to connect to PostgreSQL. `expected` are
    the members that should be there, all of the scope's by default.
    """
    asked = ask(scope)
    if asked is None:
        return None
    cluster, dynamic = asked
    serving = {member.name for member in cluster.members if member.serves}
    by_name = together(_tell, {m.name: m for m in scope.members.values() if m.name in serving})
    mode = settings.text_of(dynamic.get("synchronous_mode"))
    return View(
        tuple(_node(member, by_name.get(member.name)) for member in cluster.members),
        expected or frozenset(member.name for member in scope.members.values()),
        paused=cluster.paused,
        synchronous=mode in ("on", "quorum"),
        strict=settings.text_of(dynamic.get("synchronous_mode_strict")) == "on",
        node_count=_count(dynamic),
    )


def _count(dynamic: Mapping[str, Any]) -> int:
    try:
        return int(dynamic.get("synchronous_node_count") or 1)
    except (TypeError, ValueError):
        return 1


def _tell(member: PatroniMember) -> Told:
    client = api(member)
    try:
        return Told(client.status(), client.ready())
    except ClientError:
        return Told(None, False)


def _node(seen: ClusterMember, told: Told | None) -> Node:
    """A member from both what it published and what it says now."""
    status = told.status if told else None
    serving = bool(told and told.ready and status and status.state == "running" and seen.serves)
    pending = status.pending if status else seen.pending
    waits = status.pending_restart if status else seen.pending_restart
    return Node(
        seen.name,
        leader=seen.is_leader,
        serving=serving,
        synchronous=seen.is_synchronous,
        pending=waits,
        lowering=any(settings.lowers(name, old, new) for name, (old, new) in pending.items()),
        eligible=not seen.tags.get("nofailover"),
    )
