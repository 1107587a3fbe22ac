"""The resource `patroni.<scope>`: the dynamic configuration that all members share."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from pgstead.clients.postgres import Login, connect
from pgstead.clusters import patroni_steps, patroni_view, settings
from pgstead.clusters.groups import PatroniScope, api, those_made
from pgstead.clusters.resident import Resident
from pgstead.engine.resource import (
    Attribute,
    Observed,
    Present,
    Recorded,
    Resource,
    Step,
    Steps,
    Unknown,
)
from pgstead.errors import ClientError, NotReady
from pgstead.machine import OnChange
from pgstead.platforms.base import Platform
from pgstead.waiting import wait

KIND = "patroni"
RESTARTS = "waiting_for_restart"
NONE = "none"
POSTMASTER = "postmaster"
PAUSED = "is paused by hand: no failover will happen until `patronictl resume`"


def lower(scope: PatroniScope) -> Resource:
    """The scope's resource: an attribute per setting, and that nothing waits for a restart."""
    attributes = {
        f"{settings.PREFIX}{name}": Attribute(value, settings.on_change(name), f"setting {name}")
        for name, value in settings.flatten(scope.first.settings).items()
    }
    waiting = Attribute(NONE, OnChange.RESTART, "members that wait for a restart")
    return Resource(
        scope.address,
        KIND,
        {**attributes, RESTARTS: waiting},
        tuple(f"machine.{name}" for name in scope.members),
        place={"scope": scope.name, "prefix": scope.prefix},
        body=scope,
    )


class PatroniProvider(Resident):
    """Implements `engine.resource.Provider` for `patroni` resources: the dynamic configuration."""

    def __init__(
        self,
        scopes: Mapping[str, PatroniScope],
        platform: Platform,
        *,
        recorded: Mapping[str, Recorded],
    ) -> None:
        super().__init__(recorded)
        self.scopes = {scope.address: scope for scope in scopes.values()}
        self.platform = platform

    def _observe(self, address: str) -> Observed:
        scope = self.scopes.get(address)
        if scope is None:
            return Present({})
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(patroni_view.waiting_for_restart, scope)
            config = patroni_view.config(scope)
        if config is None:
            reason = f"no member of Patroni cluster {scope.name} answers"
            return Unknown(reason) if self._was_made(address) else None
        flat = settings.flatten(config)
        values = {f"{settings.PREFIX}{name}": value for name, value in flat.items()}
        notes = (PAUSED,) if config.get("pause") else ()
        return Present({**values, RESTARTS: ", ".join(waiting.result()) or NONE}, notes)

    def create(self, resource: Resource, *, recorded: Recorded | None) -> Steps:
        """Wait until the cluster is complete, and see its data and settings safe."""
        del recorded
        scope = self.scopes[resource.address]
        yield Step(
            f"wait until Patroni cluster {scope.name} is complete",
            partial(patroni_steps.wait_ready, scope),
        )
        yield from patroni_steps.flush(self.platform, scope.members, "write all data to disk")
        yield from self.converge(scope)

    def update(self, resource: Resource, changed: Mapping[str, OnChange]) -> Steps:
        """Patch what differs, then restart what waits for it.

        A member that joins in the same apply comes later, and takes the new settings then.
        """
        del changed
        scope = self.scopes[resource.address]
        there = those_made(scope.members, self.recorded)
        joining = frozenset(m.name for name, m in scope.members.items() if name not in there)
        yield from self.converge(scope, joining=joining)

    def converge(self, scope: PatroniScope, *, joining: frozenset[str] = frozenset()) -> Steps:
        """Steps from whatever the cluster's settings are to what they should be.

        `joining` are members that nobody waits for, though they may serve already.
        """
        observed = _config(scope)
        patch = settings.difference(observed, scope.first.settings)
        for part in settings.phases(observed, patch):
            if part:
                yield Step(_title(part), partial(apply_patch, scope, part))
                yield from patroni_steps.roll(scope, joining)
        yield from patroni_steps.roll(scope, joining)


def _config(scope: PatroniScope) -> dict[str, Any]:
    config = patroni_view.config(scope)
    if config is None:
        raise NotReady(
            f"no member of Patroni cluster {scope.name} answers", hint="see `pgstead status`"
        )
    return config


def _title(patch: Mapping[str, Any]) -> str:
    changes = settings.flatten_patch(patch)
    return "set " + ", ".join(f"{name}: {value}" for name, value in changes.items())


def apply_patch(scope: PatroniScope, patch: Mapping[str, Any]) -> None:
    """Patch the configuration, and see that every member has noticed what needs a restart."""
    restarts = _restarting(scope, settings.parameters(patch))
    patroni_steps.patch(scope, patch)
    if restarts:
        _wait_noticed(scope, patch)


def _restarting(scope: PatroniScope, parameters: Mapping[str, Any]) -> bool:
    """Whether one of these parameters takes a restart: a server knows, else a table does."""
    contexts: dict[str, str] = {}
    member = scope.first
    role = scope.access.superuser
    with suppress(ClientError):
        login = Login(member.address, member.port, role.name, role.password, member.operator.ca)
        with connect(login) as server:
            contexts = server.contexts()
    return any(
        contexts.get(name.lower(), POSTMASTER if name.lower() in settings.RESTARTS else "")
        == POSTMASTER
        for name in parameters
    )


def _wait_noticed(scope: PatroniScope, patch: Mapping[str, Any]) -> None:
    """Until all members say that they wait for a restart.

    A value in another spelling (32MB, 32768kB) makes none wait: the deadline is no error.
    """
    loop_wait = scope.first.settings.get("loop_wait", 10)
    deadline = 2.0 * float(loop_wait) + 5.0

    def noticed() -> bool:
        for member in scope.members.values():
            with suppress(ClientError):
                if not api(member).status().pending_restart:
                    api(member).patch_config(patch)
                    return False
        return True

    with suppress(NotReady):
        wait(noticed, deadline=deadline, what="members to notice", interval=(0.25, 1.0))
