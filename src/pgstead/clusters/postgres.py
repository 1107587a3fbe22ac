"""The resource `postgres.<name>`: roles, passwords, databases, and no settings made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import partial

from pgstead.clients.http import Unreachable
from pgstead.clients.postgres import (
    CONNECT_SECONDS,
    Login,
    PostgresClient,
    WrongPassword,
    answers,
    connect,
    prepare,
)
from pgstead.clusters import patroni_steps, patroni_view
from pgstead.clusters import postgres_content as content
from pgstead.clusters.deciding import together
from pgstead.clusters.etcd_view import Previous
from pgstead.clusters.groups import Groups, PatroniScope, api, those_made
from pgstead.clusters.resident import Resident
from pgstead.engine.resource import (
    Observed,
    Present,
    Recorded,
    Resource,
    Step,
    Steps,
    Unknown,
    Value,
)
from pgstead.errors import ClientError, NotReady
from pgstead.machine import OnChange
from pgstead.membership import PatroniMember, PostgresAccess, StandaloneServer
from pgstead.platforms.base import Digest, Platform
from pgstead.waiting import wait

KIND = "postgres"
SERVER_SECONDS = 120.0
RELOAD_SECONDS = 20.0
CHANGE_SECONDS = 15
"""For a connection that changes something: a server that is only busy fails no step."""


@dataclass(frozen=True, slots=True)
class Target:
    """A PostgreSQL whose content is looked after: its servers by machine name."""

    address: str
    access: PostgresAccess
    servers: Mapping[str, tuple[str, int, str]]
    scope: PatroniScope | None = None


def targets(groups: Groups) -> dict[str, Target]:
    """The Patroni clusters and standalone servers of a stack, by resource address."""
    found = [_of_scope(scope) for scope in groups.patroni.values()]
    found += [_of_server(name, server) for name, server in groups.standalone.items()]
    return {target.address: target for target in found}


def _of_scope(scope: PatroniScope) -> Target:
    servers = {name: _server(member) for name, member in scope.members.items()}
    return Target(scope.postgres_address, scope.access, servers, scope)


def _server(member: PatroniMember) -> tuple[str, int, str]:
    return (member.address, member.port, member.operator.ca)


def _of_server(machine: str, server: StandaloneServer) -> Target:
    place = (server.address, server.port, server.ca)
    return Target(f"postgres.{server.name}", server.access, {machine: place})


def lower(target: Target, digest: Digest) -> Resource:
    """The resource of one target."""
    alone = next(iter(target.servers)) if target.scope is None else None
    return Resource(
        target.address,
        KIND,
        content.attributes(target.access, digest, alone=alone),
        tuple(f"machine.{name}" for name in target.servers),
        body=target,
    )


class PostgresProvider(Resident):
    """Implements `engine.resource.Provider` for `postgres` resources: roles and databases."""

    def __init__(
        self,
        groups: Groups,
        platform: Platform,
        digest: Digest,
        *,
        recorded: Mapping[str, Recorded],
        previous: Previous,
    ) -> None:
        super().__init__(recorded)
        self.targets = targets(groups)
        self.machines, self.platform, self.digest = groups.machines, platform, digest
        self.previous = previous

    def _observe(self, address: str) -> Observed:
        target = self.targets.get(address)
        if target is None:
            return Present({})
        made = self._was_made(address)
        primary = find_primary(target)
        if primary is None:
            return Unknown(f"{address} has no primary that answers") if made else None
        try:
            values: dict[str, Value | Unknown] = self._content(target, primary)
        except WrongPassword as error:
            return Unknown(f"{error.message}: set it back by hand to one that pgstead gave it")
        except ClientError as error:
            return Unknown(error.message) if made else None
        # A server of its own that has just answered is there, recorded or not.
        alone = target.scope is None
        made_ones = target.servers if alone else those_made(target.servers, self.recorded)
        there = {name: name for name in made_ones}
        by_server = together(partial(self._by_hand, target), there)
        by_hand = {key: value for found in by_server.values() for key, value in found.items()}
        labels = {key: content.label(key) for key in by_hand if content.is_guc(key)}
        return Present(values | by_hand, labels=labels)

    def _content(self, target: Target, primary: str) -> dict[str, Value | Unknown]:
        earlier = partial(self._earlier, target)
        with self._connect(target, primary) as server:
            return dict(content.seen(server, target.access, self.digest, earlier))

    def _by_hand(self, target: Target, machine: str) -> dict[str, Value | Unknown]:
        """A server that does not answer is the plan of its machine, not of its settings."""
        restart = content.restart_key(machine)
        try:
            with self._connect(target, machine) as server:
                found: dict[str, Value | Unknown] = dict(content.by_hand(server, machine))
                if target.scope is None:
                    found[restart] = ", ".join(server.effective_restarts()) or content.NONE
        except ClientError as error:
            return {content.guc_key(machine, content.ANY): Unknown(error.message)}
        return found

    def create(self, resource: Resource, *, recorded: Recorded | None) -> Steps:
        """Wait for the primary, then roles and databases."""
        del recorded
        target = self.targets[resource.address]
        yield Step(f"wait for the primary of {target.address}", partial(_wait, target))
        yield Step("roles and databases", partial(self._converge, target, alone=True))

    def update(self, resource: Resource, changed: Mapping[str, OnChange]) -> Steps:
        """Passwords, roles and databases; then settings made by hand are taken back."""
        target = self.targets[resource.address]
        if any(not content.is_by_hand(key) for key in changed):
            yield Step("roles and databases", partial(self._converge, target))
        waits: PatroniScope | None = None
        for machine in target.servers:
            if any(key.startswith(content.guc_key(machine, "")) for key in changed):
                yield Step(f"take back ALTER SYSTEM on {machine}", partial(self._reset, machine))
                waits = waits or target.scope
            if content.restart_key(machine) in changed:
                yield Step(f"restart {machine}", partial(self._restart, machine))
        if waits is not None:
            yield from patroni_steps.roll(waits)

    def _converge(self, target: Target, *, alone: bool = False) -> None:
        """A cluster that is being made has no standby yet which could confirm a commit."""
        with self._connect(target, wait_primary(target), CHANGE_SECONDS) as server:
            if alone:
                server.commit_locally()
            content.converge(server, target.access)

    def _reset(self, machine: str) -> None:
        target = next(t for t in self.targets.values() if machine in t.servers)
        with self._connect(target, machine, CHANGE_SECONDS) as server:
            for name in server.overrides():
                server.reset_override(name)
            before = server.loaded_at()
            server.reload()
            wait(lambda: server.loaded_at() > before, deadline=RELOAD_SECONDS, what="a reload")
            waiting = server.pending_restarts()
        if target.scope is not None:
            _have_noticed(target.scope.members[machine], waiting=bool(waiting))

    def _restart(self, machine: str) -> None:
        service = self.machines[machine].software.services[0].name
        self.platform.restart(machine, service)

    def _earlier(self, target: Target, role: str) -> tuple[str, ...]:
        return self.previous(f"{target.address}/{content.password_key(role)}")

    def _connect(
        self, target: Target, machine: str, seconds: int = CONNECT_SECONDS
    ) -> AbstractContextManager[PostgresClient]:
        """As superuser, with the wanted password or an earlier one."""
        login = partial(_login, target, machine)
        role = target.access.superuser
        *others, last = dict.fromkeys((role.password, *self._earlier(target, role.name)))
        works = next((each for each in others if _accepted(login(each), seconds)), last)
        return connect(login(works), seconds=seconds)


def _have_noticed(member: PatroniMember, *, waiting: bool) -> None:
    """Have Patroni look again at what waits for a restart, and see that it says so."""
    client = api(member)
    client.reload()
    with suppress(NotReady):
        wait(
            lambda: client.status().pending_restart == waiting,
            deadline=RELOAD_SECONDS,
            what=f"{member.name} to notice",
        )


def _login(target: Target, machine: str, password: str) -> Login:
    host, port, ca = target.servers[machine]
    return Login(host, port, target.access.superuser.name, password, ca)


def _accepted(login: Login, seconds: int) -> bool:
    try:
        with connect(login, seconds=seconds):
            return True
    except WrongPassword:
        return False


def find_primary(target: Target) -> str | None:
    """The machine whose server takes writes; None if there is none that answers."""
    if target.scope is None:
        return next(iter(target.servers))
    leads = together(_leads, target.scope.members)
    return next((machine for machine, yes in leads.items() if yes), None)


def _leads(member: PatroniMember) -> bool:
    try:
        return api(member).leads()
    except Unreachable:
        return False


def _wait(target: Target) -> None:
    prepare()
    wait_primary(target)


def wait_primary(target: Target) -> str:
    """The primary's machine, waited for."""
    return wait(
        lambda: _led(target),
        deadline=SERVER_SECONDS,
        what=f"the primary of {target.address}",
        interval=(0.15, 0.15),
    )


def wait_answers(server: StandaloneServer) -> None:
    """Return once that server takes connections."""
    user = server.access.superuser
    login = Login(server.address, server.port, user.name, user.password, server.ca)
    wait(
        lambda: answers(login),
        deadline=SERVER_SECONDS,
        what=f"{server.name} to take connections",
    )


def _led(target: Target) -> str | None:
    """The primary; members are asked sparingly while nobody leads: they have enough to do."""
    if target.scope is None:
        (alone,) = target.servers
        return alone if answers(_login(target, alone, target.access.superuser.password)) else None
    name = patroni_view.leader(target.scope)
    machine = target.scope.machine_of(name) if name else None
    return machine if machine and _leads(target.scope.members[machine]) else None
