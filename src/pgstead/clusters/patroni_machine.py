"""A Patroni member's machine: joining, leaving, and being disturbed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial

from pgstead.clients.postgres import Login, connect
from pgstead.clusters import patroni_steps, patroni_view
from pgstead.clusters.etcd_view import Previous, as_root
from pgstead.clusters.groups import Groups, PatroniScope, api
from pgstead.clusters.places import Place
from pgstead.engine.lost import has_served
from pgstead.engine.resource import Recorded, Resource, Step, Steps
from pgstead.errors import ClientError, NotReady, PlatformError, Refused
from pgstead.machine import Machine, OnChange, path
from pgstead.membership import PatroniMember
from pgstead.platforms.base import Platform
from pgstead.platforms.software import actions
from pgstead.waiting import wait

FORGET_SECONDS = 30.0
"""Beyond Patroni's ttl, after which etcd drops a stopped member's key."""

RELOAD_SECONDS = 60.0
"""Beyond several rounds of Patroni's loop at its slowest usual."""

SLOTS_TTL = "member_slots_ttl"
SLOT_SECONDS = 30.0


class PatroniMachines:
    """What Patroni needs around a platform's steps."""

    def __init__(
        self,
        platform: Platform,
        groups: Groups,
        recorded: Mapping[str, Recorded],
        previous: Previous,
    ) -> None:
        self.platform, self.groups = platform, groups
        self.recorded, self.previous = recorded, previous

    def serves(self, machine: str) -> bool:
        """Whether that machine is a Patroni member that serves."""
        for scope in self.groups.patroni.values():
            member = scope.members.get(machine)
            if member is not None:
                view = patroni_view.look(scope)
                node = view.node(member.name) if view else None
                return node is not None and node.serving
        return False

    def create(self, resource: Resource, machine: Machine, recorded: Recorded | None) -> Steps:
        """Make it; one that joins a cluster that serves is waited for until it streams.

        While the cluster itself is being made, `patroni.<scope>` waits for all of them.
        """
        member = machine.membership
        assert isinstance(member, PatroniMember)  # noqa: S101 - the caller looked
        scope = self.groups.patroni[member.scope]
        if recorded is not None or self._established(scope):
            self._refuse_lost(scope)
        yield from self.platform.create(resource, {})
        if self._established(scope):
            title = f"wait until {member.name} serves in Patroni cluster {scope.name}"
            yield Step(title, partial(patroni_steps.wait_serving, scope, member.name))
            title = f"write {member.name}'s data to disk"
            yield from patroni_steps.flush(self.platform, {machine.name: member}, title)

    def _established(self, scope: PatroniScope) -> bool:
        return has_served(self.recorded.get(scope.address))

    def _refuse_lost(self, scope: PatroniScope) -> None:
        """Refuse to wait for ever: etcd says there is data, but no member has any.

        Raises `Refused`.
        """
        if any(self._has_data(self.groups.machines[name]) for name in scope.members):
            return
        if patroni_view.ask(scope) is not None or not self._initialised(scope):
            return
        raise Refused(
            f"all members of Patroni cluster {scope.name} are gone, with all its data",
            hint="restore it from a backup, or `pgstead destroy` and `pgstead up` to begin anew",
        )

    def _initialised(self, scope: PatroniScope) -> bool:
        cluster = self.groups.etcd.get(scope.first.etcd_cluster or "")
        if cluster is None:
            return False
        with suppress(ClientError):
            keys = as_root(cluster, self.previous).range(f"{scope.prefix}initialize")
            return any(key.value for key in keys)
        return False

    def _has_data(self, machine: Machine) -> bool:
        folders = [d.path for d in machine.software.directories if d.data]
        with suppress(PlatformError):
            reach = self.platform.reach(machine.name)
            argvs = [["test", "-e", path(f"{folder}/PG_VERSION")] for folder in folders]
            return any(reach.run(argv).code == 0 for argv in argvs)
        return self.platform.keeps_data(machine.name) is not False

    def reloaded(self, machine: Machine, changed: Mapping[str, OnChange], steps: Steps) -> Steps:
        """Have a reload wait until it is in effect."""
        member = machine.membership
        assert isinstance(member, PatroniMember)  # noqa: S101 - the caller looked
        before = _loaded(member) if actions(machine.software, changed).reload else None
        yield from steps
        if before is not None:
            title = f"wait until {member.name} has read its files"
            yield Step(title, partial(_wait_loaded, member, before))

    def around(self, member: PatroniMember, steps: Steps, *, keeps_leading: bool = False) -> Steps:
        """Disturb a member only while all others serve, a leader after a switchover.

        One that `keeps_leading` needs none: PostgreSQL runs on without its Patroni, and
        the next Patroni of the same name finds the lock its own.
        """
        scope = self.groups.patroni[member.scope]
        view = patroni_view.look(scope)
        node = view.node(member.name) if view else None
        yield from patroni_steps.make_way(scope, member.name, keeps_leading=keeps_leading)
        yield from steps
        if node is not None and node.serving:
            wait_step = partial(patroni_steps.wait_serving, scope, member.name)
            yield Step(f"wait until {member.name} serves again", wait_step)

    def leave(self, place: Place) -> Steps:
        """Steps until a former member may be stopped for good."""
        scope = self.groups.patroni[place.group]
        first = scope.first
        leaving = PatroniMember(
            scope=scope.name,
            namespace=first.namespace,
            name=place.name,
            address=place.address,
            operator=first.operator,
            settings=first.settings,
            access=first.access,
            api_port=place.port,
        )
        yield from patroni_steps.make_gone(scope, leaving)

    def left(self, place: Place) -> Steps:
        """Steps after a member's machine is gone: others forget it; the last one takes the keys."""
        scope = self.groups.patroni.get(place.group)
        if scope is not None:
            title = f"have Patroni cluster {scope.name} forget {place.name}"
            yield Step(title, partial(self._forget, scope, place))
            title = f"drop the replication slot of {place.name}"
            yield Step(title, partial(drop_slot, scope, place.name))
        elif place.etcd_cluster in self.groups.etcd:
            title = f"remove the keys of Patroni cluster {place.group} from etcd"
            yield Step(title, partial(self._delete_keys, place))

    def _forget(self, scope: PatroniScope, place: Place) -> None:
        """Its key would go by itself after Patroni's ttl; its processes are gone already."""
        cluster = self.groups.etcd.get(place.etcd_cluster)
        if cluster is not None:
            with suppress(ClientError):
                key = f"{place.prefix}members/{place.name}"
                as_root(cluster, self.previous).delete_key(key)

        def forgotten() -> bool:
            asked = patroni_view.ask(scope)
            return asked is not None and asked[0].member(place.name) is None

        ttl = float(scope.first.settings.get("ttl", 30))
        deadline = ttl + FORGET_SECONDS
        wait(forgotten, deadline=deadline, what=f"{place.name} to be forgotten")

    def _delete_keys(self, place: Place) -> None:
        cluster = self.groups.etcd[place.etcd_cluster]
        as_root(cluster, self.previous).delete_prefix(place.prefix)


def _loaded(member: PatroniMember) -> datetime | None:
    """When its PostgreSQL read its configuration; None if it does not answer."""
    with suppress(ClientError), connect(_login(member)) as server:
        return server.loaded_at()
    return None


def _wait_loaded(member: PatroniMember, before: datetime) -> None:
    """Patroni takes a signal up in its next round, and always has PostgreSQL reload with it.

    A patch that changes nothing begins that round at once.
    """
    client = api(member)
    with suppress(ClientError):
        client.patch_config({"loop_wait": client.config().get("loop_wait", 10)})
    wait(
        lambda: (_loaded(member) or before) > before,
        deadline=RELOAD_SECONDS,
        what=f"{member.name} to read its files",
        interval=(0.1, 0.5),
    )


def _login(member: PatroniMember) -> Login:
    role = member.access.superuser
    return Login(member.address, member.port, role.name, role.password, member.operator.ca)


def drop_slot(scope: PatroniScope, name: str) -> None:
    """Have Patroni drop the slots of a member that is gone, which would hold back WAL.

    Patroni keeps them for `member_slots_ttl`, so that this is set to 0 for a moment; an
    interruption in between is seen as drift and repaired. Slots that stay are no error:
    Patroni drops them itself later.
    """
    slot = name.lower().replace("-", "_").replace(".", "_")
    if not _has_slot(scope, slot):
        return
    patroni_steps.patch(scope, {SLOTS_TTL: 0})
    with suppress(NotReady):
        wait(lambda: not _has_slot(scope, slot), deadline=SLOT_SECONDS, what=f"slot {slot} to go")
    patroni_steps.patch(scope, {SLOTS_TTL: scope.first.settings.get(SLOTS_TTL)})


def _has_slot(scope: PatroniScope, slot: str) -> bool:
    """Whether any server that answers has it; Patroni keeps slots on standbys too."""
    for member in scope.members.values():
        with suppress(ClientError), connect(_login(member)) as server:
            if any(found.name == slot for found in server.slots()):
                return True
    return False
