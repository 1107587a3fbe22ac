"""An etcd cluster that begins anew, and the Patroni clusters that keep their keys in it.

Patroni writes its keys again by itself: the leader takes the lock, and puts back the
cluster's identity and the dynamic configuration that it knows. What must not happen is
that a member takes the lock which lacks the latest rows. A Patroni that knew its cluster
while etcd served asks every member that it knew, and gives way to a primary, or to a
standby that is ahead; one that was started since knows nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pgstead.clusters.deciding import together
from pgstead.clusters.groups import Groups, PatroniScope, told
from pgstead.engine.plan import Action, Plan
from pgstead.errors import Refused

RUNNING = "running"


def check(groups: Groups, plan: Plan, recreate: Collection[str]) -> None:
    """Raise `Refused` if a Patroni cluster could come back with the wrong leader.

    A cluster that `recreate` names (`patroni.<scope>`) may, where all of its members have
    data: one without data would begin a cluster of its own.
    """
    absent = {change.address for change in plan.pending if change.action is Action.CREATE}
    for scope in _scopes(groups, {recorded.address for recorded in plan.renewed}):
        new = [name for name in scope.members if f"machine.{name}" in absent]
        if new:
            raise _with_new(scope, new)
        silent = _silent(scope) if scope.address not in recreate else []
        if silent:
            raise _with_silent(scope, silent)


def _scopes(groups: Groups, renewed: Collection[str]) -> Iterator[PatroniScope]:
    """Those on etcd clusters that begin anew; an only member can lack nothing."""
    for scope in groups.patroni.values():
        cluster = groups.etcd.get(scope.first.etcd_cluster or "")
        if cluster and cluster.address in renewed and len(scope.members) > 1:
            yield scope


def _silent(scope: PatroniScope) -> list[str]:
    answers = together(told, scope.members)
    return [name for name, one in answers.items() if one is None or one.state != RUNNING]


def _with_new(scope: PatroniScope, names: Collection[str]) -> Refused:
    return Refused(
        f"{scope.address} has no data on {', '.join(names)}, which could begin a cluster of "
        "its own while etcd is empty",
        hint="take it out of the stack file, run the command, put it back, and run `up` again",
    )


def _with_silent(scope: PatroniScope, names: Collection[str]) -> Refused:
    return Refused(
        f"{scope.address} could come back without its latest rows: with an empty etcd, the "
        f"member that starts first may lead, and not all of them run: {', '.join(names)}",
        hint=f"accept it by name: --recreate {scope.address}",
    )
