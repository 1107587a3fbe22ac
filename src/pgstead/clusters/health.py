"""Whether clusters are well enough for one of their stack's machines to be disturbed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pgstead.clients.etcd import OUT_OF_SPACE
from pgstead.clusters import etcd_view, patroni_view
from pgstead.clusters.groups import EtcdCluster, Groups, PatroniScope, group
from pgstead.machine import Machine


@dataclass(frozen=True, slots=True)
class Health:
    """Whether all is well, and if not, why."""

    ok: bool
    reasons: tuple[str, ...] = ()


def health(machines: Iterable[Machine], *, without: str = "") -> Health:
    """The health of all clusters that these machines form; one machine may be left out.

    Patroni's failsafe mode carries a leader through a loss of etcd only while all members
    of its cluster answer, and the other way round: so one disturbance in a stack waits for
    the health of every cluster in it.
    """
    return of_groups(group(machines), without=without)


def of_groups(groups: Groups, *, without: str = "", space: bool = True) -> Health:
    """The same for clusters that were found already; `space` is whether etcd must take writes."""
    reasons = [_etcd(cluster, without, space=space) for cluster in groups.etcd.values()]
    reasons += [_patroni(scope, without) for scope in groups.patroni.values()]
    found = tuple(reason for reason in reasons if reason)
    return Health(not found, found)


def _etcd(cluster: EtcdCluster, without: str, *, space: bool) -> str:
    view = etcd_view.look(cluster.without(without))
    member = cluster.members.get(without)
    left_out = etcd_view.peer_url(member) if member else ""
    if view is None:
        return f"{cluster.address}: no member answers" if cluster.without(without).members else ""
    ill = [s.name or s.peer_url for s in view.seats if not s.healthy and s.peer_url != left_out]
    if ill:
        return f"{cluster.address}: not healthy: {', '.join(ill)}"
    return f"{cluster.address}: {OUT_OF_SPACE}" if space and view.no_space else ""


def _patroni(scope: PatroniScope, without: str) -> str:
    others = scope.without(without)
    if not others.members:
        return ""
    view = patroni_view.look(others)
    if view is None:
        return f"{scope.address}: no member answers"
    member = scope.members.get(without)
    trouble = view.trouble(but=member.name if member else "")
    return f"{scope.address}: {trouble}" if trouble else ""


def leaders(machines: Iterable[Machine]) -> frozenset[str]:
    """The addresses of machines whose Patroni leads: disturbed last, they move only once."""
    found = set()
    for scope in group(machines).patroni.values():
        asked = patroni_view.ask(scope)
        leader = asked[0].leader if asked else None
        machine = scope.machine_of(leader.name) if leader else None
        if machine:
            found.add(f"machine.{machine}")
    return frozenset(found)
