"""What is left out of a plan while some of the ground is down. Pure.

Work on the rest goes on, as long as it disturbs no cluster: one that lacks a member already
may not bear to lack another.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from pgstead.engine.lost import cluster_of
from pgstead.engine.plan import ETCD, MACHINE, Action, Change, Plan


def leave_out(plan: Plan) -> Plan:
    """The plan without what would disturb a cluster, where a member of one is out of sight."""
    away = [one for one in plan.changes if one.action is Action.LEAVE and _cluster(one)]
    if not away:
        return plan
    names = ", ".join(one.address for one in away)
    reason = f"would disturb a cluster while {names} cannot be seen: left for later"
    clusters = {_cluster(one) for one in away}
    pending = {one.address for one in plan.pending}
    return replace(
        plan,
        changes=tuple(
            replace(one, action=Action.LEAVE, reasons=(*one.reasons, reason))
            if one.address in pending and _disturbs(one, clusters)
            else one
            for one in plan.changes
        ),
    )


def _disturbs(change: Change, away: Collection[str]) -> bool:
    if not change.exclusive:
        return False
    if change.action is Action.CREATE:  # etcd takes no new member while one is not well
        return _cluster(change) in away and _cluster(change).startswith(f"{ETCD}.")
    return change.kind != MACHINE or bool(_cluster(change))


def _cluster(change: Change) -> str:
    known = change.resource or change.recorded
    return cluster_of(known) if known else ""
