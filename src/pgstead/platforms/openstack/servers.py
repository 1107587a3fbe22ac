"""The servers of a stack: found, made, started, stopped, resized, removed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pgstead.errors import NotReady, PlatformError
from pgstead.platforms.openstack import patience
from pgstead.platforms.openstack.errors import explained, hint_for
from pgstead.platforms.openstack.ground import Ground
from pgstead.platforms.openstack.naming import MACHINE, STACK, STACK_ID
from pgstead.platforms.openstack.patience import AGAIN_ANEW, moment
from pgstead.waiting import wait

ACTIVE, OFF, PAUSED = "ACTIVE", "SHUTOFF", "PAUSED"
BUILD, ERROR, RESIZED = "BUILD", "ERROR", "VERIFY_RESIZE"
POLL, BUILDS = (0.3, 2.0), (1.0, 2.0)
"""Seconds between two looks, the first and the longest; no cloud makes a server within one."""

ON = frozenset((ACTIVE, PAUSED, "SUSPENDED", RESIZED))
"""What runs, or stands still with its memory kept, and may go on at any moment."""

RESTS = frozenset((OFF, "BUILD", "SHELVED", "SHELVED_OFFLOADED"))
"""What does not run for sure; of other states, such as ERROR or MIGRATING, nobody can tell."""

_GONE = ("DELETED", "SOFT_DELETED")

_STARTS = frozenset(("create", "start", "reboot", "resize", "rebuild", "unshelve", "evacuate"))
"""Actions after which another boot runs; one that merely stood still goes on as it was."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server as the cloud shows it; `fault` is why it is in error."""

    id: str
    name: str
    status: str
    task: str
    flavor: str
    zone: str
    key_pair: str
    about: Mapping[str, str]
    fault: str
    created: datetime

    @property
    def machine(self) -> str:
        """The machine that it is."""
        return self.about.get(MACHINE, "")

    @property
    def is_on(self) -> bool:
        """Whether it runs."""
        return self.status == ACTIVE


def of_stack(ground: Ground) -> dict[str, Server]:
    """Every server of the stack, by machine: one list."""
    with explained("list of servers"):
        found = [_server(one) for one in ground.cloud.compute.servers(tags=ground.naming.tag)]
    return {o.machine: o for o in found if _is_own(ground, o) and o.status not in _GONE}


def of_name(ground: Ground) -> list[Server]:
    """Every server of stacks of this name, whatever their id."""
    with explained("list of servers"):
        listed = ground.cloud.compute.servers(tags=ground.naming.name_tag)
        found = [_server(one) for one in listed]
    same = (one for one in found if one.about.get(STACK) == ground.naming.stack)
    return [one for one in same if one.status not in _GONE]


def find(ground: Ground, machine: str) -> Server | None:
    """A machine's server; its name and its marks tell it."""
    name = ground.naming.server(machine)
    with explained(f"server {name}"):
        listed = ground.cloud.compute.servers(tags=ground.naming.tag, name=f"^{re.escape(name)}$")
        found = [_server(one) for one in listed]
    mine = (one for one in found if one.machine == machine and one.status not in _GONE)
    return next((one for one in mine if _is_own(ground, one)), None)


def require(ground: Ground, machine: str) -> Server:
    """A machine's server. Raises `PlatformError` if there is none."""
    found = find(ground, machine)
    if found is None:
        raise PlatformError(
            f"the server of {machine} is gone from the cloud", hint="`pgstead up` makes it anew"
        )
    return found


def get(ground: Ground, server: Server) -> Server | None:
    """The same server as it is now; None once it is gone."""
    from openstack.exceptions import NotFoundException  # noqa: PLC0415 - as the SDK tells it

    with explained(f"server {server.name}"):
        try:
            found = _server(ground.cloud.compute.get_server(server.id))
        except NotFoundException:
            return None
    return None if found.status in _GONE else found


def _is_own(ground: Ground, server: Server) -> bool:
    return server.about.get(STACK_ID) == ground.naming.stack_id


def _server(one: Any) -> Server:
    flavor = one.flavor or {}
    return Server(
        id=str(one.id),
        name=str(one.name),
        status=str(one.status),
        task=str(one.task_state or ""),
        # Newer clouds show a flavor's name here, older ones its id alone.
        flavor=str(flavor.get("original_name") or flavor.get("name") or flavor.get("id") or ""),
        zone=str(one.availability_zone or ""),
        key_pair=str(one.key_name or ""),
        about=dict(one.metadata or {}),
        fault=str((one.fault or {}).get("message", "")),
        created=moment(one.created_at),
    )


def make(ground: Ground, wanted: Mapping[str, Any]) -> Server:
    """Ask for a server; it is not waited for."""
    given = {key: value for key, value in wanted.items() if value is not None}
    with explained(f"server {wanted['name']}"):
        return _server(ground.cloud.compute.create_server(**given))


def wait_made(ground: Ground, server: Server) -> None:
    """Until it runs. Raises `PlatformError` with the cloud's reason if it could not be made."""
    now = server

    def runs() -> bool:
        nonlocal now
        now = _must(ground, server)
        if now.status == ERROR:
            raise _failed(now)
        return now.status == ACTIVE

    try:
        _wait(ground, runs, f"the server {server.name} to run", BUILDS)
    except NotReady as late:
        state = f"it is {now.status}, {now.task or 'and nothing works at it'}"
        raise NotReady(f"{late.message}: {state}", hint=AGAIN_ANEW) from None


def _failed(server: Server) -> PlatformError:
    why = server.fault or "the cloud says no more"
    return PlatformError(
        f"the cloud could not run the server {server.name}: {why}",
        hint=hint_for(why) or AGAIN_ANEW,
    )


def _must(ground: Ground, server: Server) -> Server:
    now = get(ground, server)
    if now is None:
        raise PlatformError(
            f"the server {server.name} is gone from the cloud", hint="`pgstead up` makes it anew"
        )
    return now


def settled(ground: Ground, server: Server) -> Server | None:
    """As it is once the cloud has made it, or its time for that is up; None if it is gone."""
    return patience.settled(
        server, lambda: get(ground, server), (BUILD,), ground.settings.build_deadline
    )


def start(ground: Ground, server: Server) -> None:
    """Have it run, whatever state it is in."""
    compute = ground.cloud.compute
    acts = {
        OFF: compute.start_server,
        PAUSED: compute.unpause_server,
        "SUSPENDED": compute.resume_server,
        "SHELVED": compute.unshelve_server,
        "SHELVED_OFFLOADED": compute.unshelve_server,
        RESIZED: compute.confirm_server_resize,
    }
    now = _must(ground, server)
    with explained(f"start of the server {server.name}"):
        if now.status == ERROR:
            compute.reboot_server(now.id, "HARD")
        elif now.status in acts:
            acts[now.status](now.id)
    _wait_acted(ground, server, OFF, ACTIVE)


def pause(ground: Ground, server: Server) -> None:
    """Have it stand still, with all that is in its memory."""
    with explained(f"pause of the server {server.name}"):
        ground.cloud.compute.pause_server(server.id)
    _wait_acted(ground, server, ACTIVE, PAUSED)


def stop(ground: Ground, server: Server) -> None:
    """Have it shut down: cleanly, and after the cloud's own time for that, at once."""
    if _must(ground, server).status == ACTIVE:
        with explained(f"stop of the server {server.name}"):
            ground.cloud.compute.stop_server(server.id)
    _wait_acted(ground, server, ACTIVE, OFF)


def _wait_acted(ground: Ground, server: Server, before: str, after: str) -> None:
    """Until its status is `after`. Raises `PlatformError` once nothing works at that any more."""

    def acted() -> bool:
        now = _must(ground, server)
        if now.status == before and not now.task:
            raise PlatformError(
                f"the server {server.name} stays {before}, and was to be {after}",
                hint="`openstack server event list` tells why the cloud gave up; try again",
            )
        return now.status == after and not now.task

    _wait(ground, acted, f"the server {server.name} to be {after}")


def resize(ground: Ground, server: Server, flavor_id: str, flavor: str) -> None:
    """Give it another flavor: it is shut down for that, maybe moved, and started again."""
    now = _must(ground, server)
    with explained(f"resize of the server {server.name} to {flavor}"):
        if now.flavor != flavor and now.status in (ACTIVE, OFF) and not now.task:
            ground.cloud.compute.resize_server(now.id, flavor_id)
        _wait_resized(ground, server, flavor)


def _wait_resized(ground: Ground, server: Server, flavor: str) -> None:
    """Until it has the flavor. It is confirmed once: nova refuses to be told so again.

    While it does what it was told, it still shows the same status, and no task.
    """
    confirmed = False

    def done() -> bool:
        nonlocal confirmed
        now = _must(ground, server)
        if now.status == ERROR:
            raise _failed(now)
        if now.status == RESIZED and not now.task and not confirmed:
            ground.cloud.compute.confirm_server_resize(now.id)
            confirmed = True
            return False
        return now.status in (ACTIVE, OFF) and now.flavor == flavor and not now.task

    _wait(ground, done, f"the server {server.name} to have the flavor {flavor}")


def note(ground: Ground, server: Server, about: Mapping[str, str]) -> None:
    """Write something into its metadata."""
    with explained(f"metadata of the server {server.name}"):
        ground.cloud.compute.set_server_metadata(server.id, **about)


def delete(ground: Ground, server: Server) -> None:
    """Delete it, and wait until it is gone: its ports and volumes are free then."""
    with explained(f"server {server.name}"):
        ground.cloud.compute.delete_server(server.id, ignore_missing=True)
    _wait(ground, lambda: get(ground, server) is None, f"the server {server.name} to be gone")


def attach(ground: Ground, server: Server, volume: str) -> None:
    """Give it a volume, unless it has it."""
    with explained(f"volume {volume} for the server {server.name}"):
        ground.cloud.compute.create_volume_attachment(server.id, volume=volume)


def console(ground: Ground, server: Server) -> str:
    """The last of what its console said. Raises `PlatformError` where the cloud shows none."""
    with explained(f"console of the server {server.name}"):
        said = ground.cloud.compute.get_server_console_output(server.id, length=_LINES)
    return str(said.get("output") or "")


_LINES = 200


def boot(ground: Ground, server: Server) -> str:
    """What tells this boot from others: the last action that began one."""
    with explained(f"actions of the server {server.name}"):
        found = list(ground.cloud.compute.server_actions(server.id))
    starts = [one for one in found if str(one.action).lower() in _STARTS]
    newest = max(starts, key=lambda one: str(one.start_time), default=None)
    return f"{server.id}/{newest.request_id}" if newest else server.id


def _wait(ground: Ground, ready: Any, what: str, poll: tuple[float, float] = POLL) -> None:
    wait(ready, deadline=ground.settings.build_deadline, what=what, interval=poll)
