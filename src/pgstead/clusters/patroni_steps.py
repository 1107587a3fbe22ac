"""What is done to a Patroni cluster as a whole: each function is safe to repeat."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from pgstead.clusters import patroni_view, rolling
from pgstead.clusters.deciding import patiently, settled
from pgstead.clusters.groups import PatroniScope, api
from pgstead.engine.resource import Step, Steps
from pgstead.errors import ClientError, NotReady
from pgstead.machine import path
from pgstead.membership import PatroniMember
from pgstead.platforms.base import Platform

BOOTSTRAP_SECONDS = 180.0
BOOTSTRAP_INTERVAL = (0.3, 0.3)
"""Seconds between two looks at a cluster that is being made: looking takes from the time
of those who make it."""

STREAM_SECONDS = 600.0
"""A new member first copies all data."""

RESTART_SECONDS = 60
ATTEMPTS = 5
"""Restarts of one member for the same reason: a standby that has not yet replayed what
its primary lowered comes up with the old value, and waits for a restart again."""

HINT = "see `pgstead status` and the members' logs; a rerun goes on from here"


def ready(scope: PatroniScope) -> rolling.Next:
    """Whether every member serves and, where commits wait, a standby they wait for is named.

    While a cluster is bootstrapped any standby may acknowledge, even a base backup. Until
    somebody leads, one member alone is asked: all have enough to do.
    """
    if patroni_view.leader(scope) is None:
        return rolling.Next(rolling.Do.WAIT, "nobody says who leads")
    view = patroni_view.look(scope)
    if view is None:
        return rolling.Next(rolling.Do.WAIT, "no member answers")
    trouble = view.trouble()
    if trouble:
        return rolling.Next(rolling.Do.WAIT, trouble)
    named = any(node.synchronous and node.serving for node in view.nodes)
    if view.synchronous and len(view.expected) > 1 and not named:
        return rolling.Next(rolling.Do.WAIT, "no synchronous standby is named yet")
    return rolling.Next(rolling.Do.DONE)


def wait_ready(scope: PatroniScope, deadline: float = BOOTSTRAP_SECONDS) -> None:
    """Return once the cluster is `ready`."""
    patiently(
        partial(ready, scope),
        what=f"Patroni cluster {scope.name}",
        deadline=deadline,
        interval=BOOTSTRAP_INTERVAL,
    )


def wait_serving(scope: PatroniScope, name: str, deadline: float = STREAM_SECONDS) -> None:
    """Return once that member leads or streams."""

    def decide() -> rolling.Next:
        view = patroni_view.look(scope)
        node = view.node(name) if view else None
        if node and node.serving:
            return rolling.Next(rolling.Do.DONE)
        return rolling.Next(rolling.Do.WAIT, "it does not stream yet" if view else "no answer")

    patiently(decide, what=f"{name} of Patroni cluster {scope.name}", deadline=deadline)


def switch_over(scope: PatroniScope, leader: str, candidate: str) -> None:
    """Hand leadership over and return once the old leader streams from the new one.

    Without a `candidate`, Patroni chooses. It may have done it, and said otherwise: what
    counts is who leads.
    """
    machine = scope.machine_of(leader) or next(iter(scope.members))
    try:
        api(scope.members[machine]).switchover(leader, candidate or None)
    except ClientError as error:
        view = patroni_view.look(scope)
        node = view.node(leader) if view else None
        if view is None or view.leader is None or (node and node.leader):
            raise error from None
    wait_serving(scope, leader, BOOTSTRAP_SECONDS)


def restart_member(scope: PatroniScope, name: str) -> None:
    """Restart that member's PostgreSQL if something waits for it; return once it serves."""
    machine = scope.machine_of(name)
    if machine is None:
        raise NotReady(f"{name} is not a member of Patroni cluster {scope.name} that is known")
    client = api(scope.members[machine])
    if client.status().pending_restart:
        client.restart(timeout=RESTART_SECONDS, only_pending=True)
    wait_serving(scope, name, BOOTSTRAP_SECONDS)


def roll(scope: PatroniScope, joining: frozenset[str] = frozenset()) -> Steps:
    """Restart what waits for it: one member at a time, while all others serve.

    Members that are `joining` count as soon as they serve.
    """
    what = f"Patroni cluster {scope.name}"
    done: dict[str, int] = {}
    while True:
        following = yield from settled(partial(_roll, scope, joining), what=what, hint=HINT)
        if following.do is rolling.Do.DONE:
            return
        done[following.member] = done.get(following.member, 0) + 1
        if done[following.member] > ATTEMPTS:
            raise NotReady(
                f"{following.member} still waits for a restart after {ATTEMPTS} of them",
                hint="see the member's log for the parameter it does not take",
            )
        yield _step(scope, following)


def _roll(scope: PatroniScope, joining: frozenset[str]) -> rolling.Next:
    view = patroni_view.look(scope)
    if view is None:
        return rolling.Next(rolling.Do.WAIT, "no member answers")
    absent = joining - {node.name for node in view.nodes if node.serving}
    return rolling.roll(replace(view, expected=view.expected - absent))


def _step(scope: PatroniScope, following: rolling.Next) -> Step:
    if following.do is rolling.Do.SWITCHOVER:
        return Step(
            f"switch over from {following.member} to {following.candidate or 'another member'}",
            partial(switch_over, scope, following.member, following.candidate),
        )
    why = f" ({following.reason})" if following.reason else ""
    return Step(
        f"restart PostgreSQL of {following.member}{why}",
        partial(restart_member, scope, following.member),
    )


def make_way(scope: PatroniScope, name: str, *, keeps_leading: bool = False) -> Steps:
    """Steps until that member may be stopped for a moment; see `rolling.disturb`."""

    def decide() -> rolling.Next:
        return rolling.disturb(patroni_view.look(scope), name, keeps_leading=keeps_leading)

    yield from _until_go(scope, f"stopping {name}", decide)


def make_gone(scope: PatroniScope, leaving: PatroniMember) -> Steps:
    """Steps until a member that is no more of the scope's may be stopped for good."""
    expected = frozenset(member.name for member in scope.members.values())
    everyone = PatroniScope(scope.name, {**scope.members, leaving.name: leaving})
    yield from _until_go(
        everyone,
        f"removing {leaving.name}",
        lambda: rolling.remove(patroni_view.look(everyone, expected=expected), leaving.name),
    )


def _until_go(scope: PatroniScope, what: str, decide: Callable[[], rolling.Next]) -> Steps:
    while True:
        following = yield from settled(decide, what=what, hint=HINT)
        if following.do is rolling.Do.GO:
            return
        yield _step(scope, following)


def patch(scope: PatroniScope, change: Mapping[str, Any]) -> None:
    """Patch the dynamic configuration; raises `ClientError` if no member does it.

    A member takes a patch up in its next round; asking each of them with the same patch,
    which changes nothing more, has it begin one at once.
    """
    errors: list[ClientError] = []
    for member in scope.members.values():
        try:
            api(member).patch_config(change)
        except ClientError as error:
            errors.append(error)
    if len(errors) == len(scope.members):
        raise errors[0]


def flush(platform: Platform, members: Mapping[str, PatroniMember], title: str) -> Steps:
    """Write to disk, all at once, the data folders that were filled without waiting for it.

    `members` are by machine.
    """
    unsynced = {machine: m.sync_path for machine, m in members.items() if m.sync_path}
    if unsynced:
        yield Step(title, partial(_sync, platform, unsynced))


def _sync(platform: Platform, folders: Mapping[str, str]) -> None:
    for machine, folder in folders.items():
        done = platform.reach(machine).run(["sync", "-f", path(folder)])
        if done.code != 0:
            raise NotReady(f"{machine}: `sync -f {folder}`: {done.stderr.strip()}")
