"""Steps that free space in an etcd cluster; each run looks anew, so a rerun resumes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import partial

from pgstead.clients.etcd import EtcdClient
from pgstead.clients.etcd_answers import NO_SPACE
from pgstead.clients.etcd_maintenance import alarms, compact, defragment, disarm
from pgstead.clusters.deciding import patiently, settled, together
from pgstead.clusters.etcd_space import Do, Holder, Next, next_member, order
from pgstead.clusters.etcd_view import Previous, as_root
from pgstead.clusters.groups import EtcdCluster
from pgstead.engine.resource import Step, Steps
from pgstead.errors import ClientError, NotReady
from pgstead.waiting import wait

__all__ = ["free_space", "observe"]

SETTLED_SECONDS = 60.0
"""For a member to drop the history that it was told to, and for an alarm to be taken back."""

HINT = "bring all members up first (`pgstead status`): one is silent while it is defragmented"
FULL = (
    "the data itself, without history and free pages, fills the quota: delete keys, or raise"
    " etcd.space_quota"
)


def observe(cluster: EtcdCluster) -> tuple[Holder, ...]:
    """The members as each tells of itself, in the machines' order; asked side by side."""
    client = cluster.client()
    client.timeout = min(client.timeout, 3.0)
    places = _places(cluster)
    seen = together(lambda one: _holder(client, one, places[one]), {one: one for one in places})
    return tuple(seen.values())


def _holder(client: EtcdClient, machine: str, place: tuple[str, int]) -> Holder:
    """Asked without a user: etcd takes no login for it, and one that has no leader gives none."""
    try:
        said = EtcdClient([place], client.tls, timeout=client.timeout).status()
    except ClientError:
        return Holder(machine)
    sizes = said.database_bytes, said.used_bytes
    return Holder(machine, said.member, said.leader, *sizes, said.revision)


def _places(cluster: EtcdCluster) -> Mapping[str, tuple[str, int]]:
    return {name: (one.address, one.client_port) for name, one in cluster.members.items()}


def free_space(cluster: EtcdCluster, previous: Previous) -> Steps:
    """Compact, defragment member by member, disarm.

    Raises `NotReady` where a member stays away or the alarm comes back, `ClientError` for what
    etcd refuses.
    """
    yield from _await_all(cluster)
    yield Step(
        f"compact etcd cluster {cluster.name} to its current revision",
        partial(_compact, cluster, previous),
    )
    yield from _defragment_each(cluster, previous)
    yield Step(
        f"disarm the alarms of etcd cluster {cluster.name}", partial(_disarm, cluster, previous)
    )


def _await_all(cluster: EtcdCluster) -> Steps:
    """Nothing is begun while a member is away."""
    what = f"etcd cluster {cluster.name}"
    yield from settled(lambda: next_member(observe(cluster), ()), what=what, hint=HINT)


def _defragment_each(cluster: EtcdCluster, previous: Previous) -> Steps:
    done: list[str] = []
    while True:
        what = f"defragmenting etcd cluster {cluster.name}"
        following = yield from settled(
            lambda: next_member(observe(cluster), done), what=what, hint=HINT
        )
        if following.do is Do.DONE:
            return
        machine = following.machine
        yield Step(
            f"defragment {machine}{_role(observe(cluster), machine)}",
            partial(_defragment, cluster, previous, machine),
        )
        done.append(machine)


def _role(holders: Iterable[Holder], machine: str) -> str:
    return next((", the leader" for one in holders if one.machine == machine and one.leads), "")


def _compact(cluster: EtcdCluster, previous: Previous) -> None:
    """The leader has every change; the others follow, and are waited for."""
    leader = order(observe(cluster))[-1]
    place = _places(cluster)[leader.machine]
    compact(as_root(cluster, previous, endpoints=[place]), *place, leader.revision)
    _await_compaction(cluster)


def _await_compaction(cluster: EtcdCluster) -> None:
    """Etcd drops history in small pieces: it is done once no member's use goes down any more.

    It may go up: others write meanwhile.
    """
    last: dict[str, int] = {}

    def still() -> bool:
        used = {one.machine: one.used for one in observe(cluster)}
        shrinks = any(used[name] < last.get(name, used[name] + 1) for name in used)
        last.update(used)
        return not shrinks

    what = f"etcd cluster {cluster.name} to drop its history"
    wait(still, deadline=SETTLED_SECONDS, what=what, interval=(0.3, 1.0))


def _defragment(cluster: EtcdCluster, previous: Previous, machine: str) -> None:
    """One member, if the others are well at this very moment; then until it is well again."""
    following = next_member(observe(cluster), set(cluster.members) - {machine})
    if following.do is not Do.DEFRAGMENT:
        raise NotReady(f"{machine} is not defragmented: {following.reason}", hint=HINT)
    place = _places(cluster)[machine]
    defragment(as_root(cluster, previous, endpoints=[place]), *place)
    patiently(partial(_well, cluster), what=f"{machine} to be well again")


def _well(cluster: EtcdCluster) -> Next:
    holders = observe(cluster)
    found = next_member(holders, ())
    if found.do is Do.WAIT:
        return found
    behind = _behind(holders)
    return Next(Do.WAIT, reason=f"behind: {', '.join(behind)}") if behind else Next(Do.DONE)


def _behind(holders: Collection[Holder]) -> list[str]:
    """Those that lack changes that the leader had."""
    leading = order(holders)[-1].revision
    return sorted(one.machine for one in holders if one.revision + ALLOWED < leading)


ALLOWED = 100
"""Changes that a member may lack and still count as following: others write meanwhile."""


def _disarm(cluster: EtcdCluster, previous: Previous) -> None:
    """Every alarm of space is taken back, and stays so."""
    client = as_root(cluster, previous)

    def disarmed() -> bool:
        raised = [one for one in alarms(client) if one.kind == NO_SPACE]
        for alarm in raised:
            disarm(client, alarm)
        return not raised

    wait(
        disarmed,
        deadline=SETTLED_SECONDS,
        what=f"etcd cluster {cluster.name} to keep its alarm down",
        error=lambda: FULL,
        interval=(0.1, 0.5),
        successes=2,
    )
