"""Hand the leader's role to a standby."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pgstead.clients.http import Unreachable
from pgstead.clients.patroni import ClusterView
from pgstead.clusters.deciding import first
from pgstead.clusters.groups import api
from pgstead.errors import NotReady, SpecError
from pgstead.membership import PatroniMember
from pgstead.operations.results import SwitchedOver
from pgstead.operations.session import Session, open_session
from pgstead.operations.stopping import Tell, nobody, stoppable
from pgstead.waiting import wait

DEADLINE = 60.0
"""Seconds for the new leader to lead and the old one to stream from it."""


def switchover(
    file: Path, to: str | None, *, accept: Callable[[str, str], bool], tell: Tell = nobody
) -> SwitchedOver | None:
    """Switch to `to`, or to the standby that is best to lead; None if the user declined.

    Raises `SpecError` for a member that cannot lead, `NotReady` if no leader is there, and
    `Interrupted` on Ctrl-C, which `tell` says at once.
    """
    with open_session(file, command="switchover") as session:
        session.must_exist()
        members = patroni_members(session)
        view = view_of(members)
        leader = view.leader
        if leader is None:
            raise NotReady("there is no leader to switch from", hint="see `pgstead status`")
        candidate = to or _best(view)
        _check(view, candidate)
        if not accept(leader.name, candidate):
            return None
        return stoppable(
            lambda: _switch(members, leader.name, candidate),
            message=f"interrupted: Patroni may still hand over from {leader.name} to {candidate}",
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


def _best(view: ClusterView) -> str:
    """The standby that lags least among those that may lead; synchronous ones go first."""
    standbys = [m for m in view.members if not m.is_leader and m.serves]
    synchronous = [m for m in standbys if m.is_synchronous]
    if not standbys:
        raise NotReady("no standby streams, so none can lead", hint="see `pgstead status`")
    return min(synchronous or standbys, key=lambda m: (m.lag or 0, m.name)).name


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


def _switch(members: Sequence[PatroniMember], leader: str, candidate: str) -> SwitchedOver:
    by_name = {member.name: member for member in members}
    began = time.monotonic()
    api(by_name[leader]).switchover(leader, candidate)
    wait(
        lambda: api(by_name[candidate]).leads() or None,
        deadline=DEADLINE,
        what=f"{candidate} to lead",
    )
    return SwitchedOver(leader, candidate, time.monotonic() - began)
