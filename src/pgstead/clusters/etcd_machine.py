"""An etcd member's machine: joining as a learner, leaving, and being disturbed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial

from pgstead.clients.etcd import EtcdError
from pgstead.clusters import etcd_membership as membership
from pgstead.clusters import places
from pgstead.clusters.deciding import patiently, settled
from pgstead.clusters.etcd_membership import Do, Next, View
from pgstead.clusters.etcd_view import Previous, as_root, look, peer_url
from pgstead.clusters.groups import EtcdCluster, Groups
from pgstead.clusters.places import Place
from pgstead.engine.lost import has_served
from pgstead.engine.resource import Data, Recorded, Resource, Step, Steps
from pgstead.errors import PlatformError
from pgstead.machine import Machine, path
from pgstead.membership import EtcdMember
from pgstead.platforms.base import Platform
from pgstead.waiting import wait

JOIN_SECONDS = 120.0
ANNOUNCE_SECONDS = 30.0
NOT_FOUND = "member not found"
NOT_IN_SYNC = "in sync with leader"
UNHEALTHY = "unhealthy cluster"
HINT = (
    "start its other members first (`pgstead status`); where the data of all of them is lost, "
    "`pgstead plan` says so, and how to begin anew"
)


class EtcdMachines:
    """What etcd needs around a platform's steps."""

    def __init__(
        self,
        platform: Platform,
        groups: Groups,
        recorded: Mapping[str, Recorded],
        previous: Previous,
    ) -> None:
        self.platform, self.clusters = platform, groups.etcd
        self.recorded, self.previous = recorded, previous

    def serves(self, machine: str) -> bool:
        """Whether that machine is an etcd member that serves."""
        for cluster in self.clusters.values():
            member = cluster.members.get(machine)
            if member is not None:
                return cluster.client().health(member.address, member.client_port).serves
        return False

    def create(self, resource: Resource, machine: Machine, recorded: Recorded | None) -> Steps:
        """Steps until it is a voting member that serves; see `etcd_membership.join`."""
        member = machine.membership
        assert isinstance(member, EtcdMember)  # noqa: S101 - the caller looked
        if self._first_time(member):
            yield from self.platform.create(resource, {})
            return
        running = False
        while True:
            decide = partial(self._join, machine, member, running=running)
            what = f"etcd member {member.name} joining {member.cluster}"
            following = yield from settled(decide, what=what, hint=HINT, deadline=JOIN_SECONDS)
            if following.do is Do.DONE:
                return
            if following.do in (Do.BOOTSTRAP, Do.START):
                yield from self.platform.create(resource, self._bindings(member, following))
                running = True
            elif following.do is Do.WIPE:
                gone = _recorded(resource, recorded)
                yield from self.platform.delete(gone, data=Data.ASIDE)
            else:
                yield self._step(member, following)

    def _first_time(self, member: EtcdMember) -> bool:
        """Whether nobody of the cluster is known of: then there is nobody to ask."""
        cluster = self.clusters[member.cluster]
        known = {f"machine.{name}" for name in cluster.members} | {cluster.address}
        return not any(address in self.recorded for address in known)

    def _established(self, member: EtcdMember) -> bool:
        """Whether its cluster served before; one that begins anew is being made once more."""
        return has_served(self.recorded.get(self.clusters[member.cluster].address))

    def _join(self, machine: Machine, member: EtcdMember, *, running: bool) -> Next:
        cluster = self.clusters[member.cluster]
        view = look(cluster.without(machine.name)) if len(cluster.members) > 1 else None
        return membership.join(
            view,
            name=member.name,
            peer_url=peer_url(member),
            has_data=self._has_data(machine, view),
            running=running,
            established=self._established(member),
        )

    def _has_data(self, machine: Machine, view: View | None) -> bool:
        """Whether there is a data folder that etcd has written to.

        Into a volume of somebody else's nobody can look while its machine is gone: it holds
        the data of a member that has served, and nothing of one that is new.
        """
        folders = [d.path for d in machine.software.directories if d.data]
        with suppress(PlatformError):
            reach = self.platform.reach(machine.name)
            return any(reach.run(["test", "-e", path(f"{f}/member")]).code == 0 for f in folders)
        kept = self.platform.keeps_data(machine.name)
        return self._has_served(machine, view) if kept is None else kept

    def _has_served(self, machine: Machine, view: View | None) -> bool:
        member = machine.membership
        assert isinstance(member, EtcdMember)  # noqa: S101 - only etcd's machines are asked for
        if view is None:
            return self._established(member)
        seat = view.seat(peer_url(member))
        return seat is not None and seat.started

    def _bindings(self, member: EtcdMember, following: Next) -> dict[str, str]:
        """What a joining member is told instead of its bootstrap's values."""
        cluster = self.clusters[member.cluster]
        if following.do is Do.BOOTSTRAP:
            anew = places.token(self.recorded.get(cluster.address))
            return {"initial-cluster-token": f"{cluster.name}-{anew}"} if anew else {}
        others = EtcdCluster(
            cluster.name, {k: m for k, m in cluster.members.items() if m.name != member.name}
        )
        view = look(others) if following.do is Do.START else None
        if view is None:
            return {}
        told = view.initial_cluster(member.name, peer_url(member))
        return {"initial-cluster": told, "initial-cluster-state": "existing"}

    def _step(self, member: EtcdMember, following: Next) -> Step:
        others = EtcdCluster(
            member.cluster,
            {k: m for k, m in self.clusters[member.cluster].members.items() if m != member},
        )
        if following.do is Do.REMOVE:
            title = f"remove {member.name} from etcd cluster {member.cluster}: {following.reason}"
            return Step(title, partial(self._remove, others, following.member))
        if following.do is Do.ADD:
            title = f"announce {member.name} to etcd cluster {member.cluster} as a learner"
            return Step(title, partial(self._add, others, peer_url(member)))
        title = f"promote {member.name} to a voting member"
        return Step(title, partial(self._promote, others, following.member))

    def _remove(self, others: EtcdCluster, member: int) -> None:
        """Remove a member; right after another change etcd may refuse for a moment.

        It counts on members only that it has been connected with for 5 s (etcd's
        `HealthInterval`).
        """
        client = as_root(self._asked(others), self.previous)

        def removed(reasons: list[str]) -> bool:
            try:
                client.member_remove(member)
            except EtcdError as error:
                reasons[:] = [error.reason]
                if UNHEALTHY in error.reason:
                    return False
                if NOT_FOUND not in error.reason:
                    raise
            return True

        _insist(removed, ANNOUNCE_SECONDS, f"etcd cluster {others.name} to let a member go")
        self._wait_well(others)

    def _add(self, others: EtcdCluster, url: str) -> None:
        """Announce a learner; right after a removal etcd may refuse for a moment."""
        self._wait_well(others)
        client = as_root(self._asked(others), self.previous)

        def announced(reasons: list[str]) -> bool:
            try:
                client.member_add(url, learner=True)
            except EtcdError as error:
                reasons[:] = [error.reason]
            view = look(others)
            return view is not None and view.seat(url) is not None

        _insist(announced, ANNOUNCE_SECONDS, f"etcd cluster {others.name} to take a learner")

    def _promote(self, others: EtcdCluster, member: int) -> None:
        """A learner's readiness is the promotion itself: etcd refuses it until then."""
        client = as_root(self._asked(others), self.previous)

        def promoted(reasons: list[str]) -> bool:
            try:
                client.member_promote(member)
            except EtcdError as error:
                if NOT_IN_SYNC not in error.reason:
                    return _is_voter(others, member)
                reasons[:] = [error.reason]
                return False
            return True

        _insist(promoted, JOIN_SECONDS, "an etcd learner to be in sync")
        self._wait_well(others)

    def _asked(self, others: EtcdCluster) -> EtcdCluster:
        """The same members with the access that the whole cluster has."""
        return _with_access(others, self.clusters.get(others.name))

    def _wait_well(self, others: EtcdCluster) -> None:
        def decide() -> Next:
            return _well(look(others), {peer_url(m) for m in others.members.values()})

        patiently(decide, what=f"etcd cluster {others.name}")

    def leave(self, place: Place) -> Steps:
        """Steps until the cluster does not list a former member any more."""
        url = f"https://{place.address}:{place.port}"
        yield from self._let_go(self.clusters[place.group], place.name, url)

    def part(self, machine: str, member: EtcdMember) -> Steps:
        """The same for a member whose data goes with its machine, which is about to be replaced.

        While it still serves: of two members, the one that is left could not let it go.
        """
        others = self.clusters[member.cluster].without(machine)
        if others.members and self.platform.keeps_data(machine) is False:
            yield from self._let_go(others, member.name, peer_url(member))

    def _let_go(self, others: EtcdCluster, name: str, url: str) -> Steps:
        what = f"etcd member {name} leaving {others.name}"
        following = yield from settled(
            lambda: membership.leave(look(others), url), what=what, hint=HINT
        )
        if following.do is Do.REMOVE:
            title = f"remove {name} from etcd cluster {others.name}"
            yield Step(title, partial(self._remove, others, following.member))

    def around(self, member: EtcdMember, steps: Steps) -> Steps:
        """Disturb a member only while all others are healthy, and wait until it is again."""
        cluster = self.clusters[member.cluster]
        url = peer_url(member)
        decided = yield from settled(
            lambda: membership.restart(look(cluster), url),
            what=f"stopping etcd member {member.name}",
            hint=HINT,
        )
        yield from steps
        if not decided.reason:
            wait_step = partial(_wait_healthy, cluster, member)
            yield Step(f"wait until {member.name} serves again", wait_step)


def _insist(attempt: Callable[[list[str]], bool], deadline: float, what: str) -> None:
    """Ask etcd until it agrees; `attempt` writes down why it did not. Raises `NotReady`."""
    reasons: list[str] = []
    wait(
        lambda: attempt(reasons),
        deadline=deadline,
        what=what,
        error=lambda: reasons[0] if reasons else None,
        interval=(0.1, 0.5),
    )


def _with_access(others: EtcdCluster, whole: EtcdCluster | None) -> EtcdCluster:
    if others.access or whole is None or whole.access is None:
        return others
    members = dict(others.members)
    name = next(iter(members))
    members[name] = replace(members[name], access=whole.access)
    return EtcdCluster(others.name, members)


def _is_voter(others: EtcdCluster, member: int) -> bool:
    view = look(others)
    return view is not None and any(seat.id == member and not seat.learner for seat in view.seats)


def _well(view: View | None, urls: set[str]) -> Next:
    """Whether those members, or as many of them as are listed, are healthy."""
    if view is None:
        return Next(Do.WAIT, "no member answers")
    ill = [s.name or s.peer_url for s in view.seats if s.peer_url in urls and not s.healthy]
    return Next(Do.WAIT, f"not healthy: {', '.join(ill)}") if ill else Next(Do.DONE)


def _wait_healthy(cluster: EtcdCluster, member: EtcdMember) -> None:
    client = cluster.client()
    wait(
        lambda: client.health(member.address, member.client_port).serves,
        deadline=JOIN_SECONDS,
        what=f"etcd member {member.name}",
        error=lambda: client.health(member.address, member.client_port).reason,
    )


def _recorded(resource: Resource, recorded: Recorded | None) -> Recorded:
    """What to tell a platform so that it removes what is left of a machine."""
    return recorded or Recorded(
        resource.address, resource.kind, resource.values, "deleting", place=resource.place
    )
