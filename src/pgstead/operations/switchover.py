"""Hand the leader's role to a standby.

Patroni is told which one only where the user says so, or where it would else refuse: standbys
that see another one named sleep for 2 s before they follow it (`clusters.rolling`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from pgstead.clients.http import Unreachable
from pgstead.clients.patroni import ClusterMember, ClusterView
from pgstead.clusters.deciding import first
from pgstead.clusters.groups import api
from pgstead.errors import ClientError, NotReady, SpecError
from pgstead.membership import PatroniMember
from pgstead.operations.results import SwitchedOver
from pgstead.operations.session import Session, open_session
from pgstead.operations.stopping import Tell, nobody, stoppable
from pgstead.waiting import wait

DEADLINE = 60.0
"""Seconds for the new leader to lead."""

NEVER = "nofailover"
"""Patroni's tag of a member that may not lead."""


def switchover(
    file: Path, to: str | None, *, accept: Callable[[str, str], bool], tell: Tell = nobody
) -> SwitchedOver | None:
    """Switch to `to`, or to one that is best to lead; None if the user declined.

    `accept` is given the leader's name and the candidates', in words. Raises `SpecError` for a
    member that cannot lead, `NotReady` if no leader is there, and `Interrupted` on Ctrl-C,
    which `tell` says at once.
    """
    with open_session(file, command="switchover") as session:
        session.must_exist()
        members = patroni_members(session)
        view = view_of(members)
        leader = view.leader
        if leader is None:
            raise NotReady("there is no leader to switch from", hint="see `pgstead status`")
        candidates = (to,) if to else _candidates(view)
        for name in candidates:
            _check(view, name)
        words = " or ".join(candidates)
        if not accept(leader.name, words):
            return None
        named = None if to is None and _may_choose(view) else candidates[0]
        return stoppable(
            lambda: _switch(members, leader.name, named),
            message=f"interrupted: Patroni may still hand over from {leader.name} to {words}",
            hint=f"`pgstead status {file}` shows who leads",
            tell=tell,
        )


def patroni_members(session: Session) -> tuple[PatroniMember, ...]:
    """The stack's Patroni members. Raises `SpecError` if there are none."""
    found = [machine.membership for machine in session.machines]
    members = tuple(member for member in found if isinstance(member, PatroniMember))
    if not members:
        raise SpecError(f"the stack {session.stack.name} has no Patroni cluster")
    return members


def view_of(members: Sequence[PatroniMember]) -> ClusterView:
    """The cluster as the first member that answers sees it. Raises `NotReady` if none does."""
    reasons: list[str] = []

    def ask(member: PatroniMember) -> ClusterView | None:
        try:
            return api(member).cluster()
        except Unreachable as error:
            reasons.append(error.message)
        return None

    view = first(ask, {member.name: member for member in members})
    if view is None:
        said = "; ".join(reasons)
        raise NotReady(f"no Patroni member answers: {said}", hint="see `pgstead status`")
    return view


def _candidates(view: ClusterView) -> tuple[str, ...]:
    """The standbys that Patroni chooses from; the one that lags least first.

    Raises `NotReady` if there are none.
    """
    able = [m for m in view.members if not m.is_leader and m.serves and not m.tags.get(NEVER)]
    if not able:
        raise NotReady("no standby streams, so none can lead", hint="see `pgstead status`")
    chosen = [m for m in able if m.is_synchronous] or able
    if not _may_choose(view):
        chosen = [min(chosen, key=_worth)]
    return tuple(m.name for m in sorted(chosen, key=_worth))


def _worth(member: ClusterMember) -> tuple[int, str]:
    return member.lag or 0, member.name


def _may_choose(view: ClusterView) -> bool:
    """Whether Patroni chooses by itself: not while paused, and not unless all vote."""
    return not view.paused and all(m.serves for m in view.members)


def _check(view: ClusterView, candidate: str) -> None:
    member = view.member(candidate)
    names = ", ".join(m.name for m in view.members if not m.is_leader and m.serves)
    hint = f"these can lead: {names}" if names else "no standby streams"
    if member is None:
        raise SpecError(f"there is no member {candidate}", hint=hint)
    if member.is_leader:
        raise SpecError(f"{candidate} leads already", hint=hint)
    if not member.serves:
        raise SpecError(f"{candidate} is {member.state} and cannot lead", hint=hint)


def _switch(members: Sequence[PatroniMember], leader: str, named: str | None) -> SwitchedOver:
    by_name = {member.name: member for member in members}
    began = time.monotonic()
    api(by_name[leader]).switchover(leader, named)

    def successor() -> str | None:
        """Another leader, which says itself that it leads."""
        with suppress(NotReady, ClientError):
            found = view_of(members).leader
            known = by_name.get(found.name) if found and found.name != leader else None
            return known.name if known and api(known).leads() else None
        return None

    after = wait(successor, deadline=DEADLINE, what=f"{named or 'another member'} to lead")
    return SwitchedOver(leader, after, time.monotonic() - began)
