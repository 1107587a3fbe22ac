"""What to do next so that an etcd member joins, leaves or restarts. Pure.

Each decision rests on what is observed alone, so that a rerun after any interruption
goes on where the work stopped. The rules come from etcd's own: a member without its data
folder is a different member; a removed one can never come back with its old folder; a
learner does not count for the quorum until it is promoted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

BROKEN_PROMOTION = ((3, 5, 1), (3, 5, 19))
"""Versions, first and last, in which promoting a learner can make members disagree."""


class Do(StrEnum):
    """The next thing to do."""

    BOOTSTRAP = "bootstrap"
    START = "start"
    REMOVE = "remove"
    WIPE = "wipe"
    ADD = "add"
    PROMOTE = "promote"
    GO = "go"
    DONE = "done"
    WAIT = "wait"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Next:
    """What to do next, and why; `member` is the id it is about."""

    do: Do
    reason: str = ""
    member: int = 0


@dataclass(frozen=True, slots=True)
class Seat:
    """A member as its cluster lists it, and whether it serves."""

    id: int
    name: str
    peer_url: str
    started: bool
    learner: bool = False
    healthy: bool = True


@dataclass(frozen=True, slots=True)
class View:
    """A cluster as the members that answer tell it; without space it takes no writes."""

    seats: tuple[Seat, ...]
    version: str = ""
    no_space: bool = False

    @property
    def voters(self) -> tuple[Seat, ...]:
        """Those that count for the quorum."""
        return tuple(seat for seat in self.seats if not seat.learner)

    @property
    def has_quorum(self) -> bool:
        """Whether it can change anything, its members included."""
        return _healthy(self.voters) >= quorum(len(self.voters))

    def seat(self, peer_url: str) -> Seat | None:
        """The member with that peer URL."""
        return next((seat for seat in self.seats if seat.peer_url == peer_url), None)

    def initial_cluster(self, name: str, peer_url: str) -> str:
        """What a joining member is told of everyone: `name=url,...`, itself included.

        etcd compares URLs; a member that never started has no name yet.
        """
        others = [s for s in self.seats if s.peer_url != peer_url]
        told = [f"{seat.name or f'member-{seat.id:x}'}={seat.peer_url}" for seat in others]
        return ",".join([*told, f"{name}={peer_url}"])


def quorum(voters: int) -> int:
    """How many of so many voters must agree."""
    return voters // 2 + 1


def _healthy(seats: tuple[Seat, ...]) -> int:
    return sum(seat.healthy for seat in seats)


def join(
    view: View | None,
    *,
    name: str,
    peer_url: str,
    has_data: bool,
    running: bool,
    established: bool,
) -> Next:
    """The next step of a member that should be there.

    `view` is None when no other member answers; `has_data` tells of its own data folder;
    `running` that it was started by now; `established` that the cluster served before.
    """
    if view is None:
        return _alone(name, has_data=has_data, running=running, established=established)
    seat = view.seat(peer_url)
    if running and seat is not None:
        return _promotion(view, seat)
    if not view.has_quorum and not (has_data and seat is not None):
        # Of a cluster that is being made, each member may be the one that others wait for.
        fresh = not (established or has_data or running)
        return Next(Do.BOOTSTRAP) if fresh else Next(Do.WAIT, _lost(view))
    if seat is None:
        return _unlisted(view, has_data=has_data)
    if seat.started and not has_data:
        return _replace(view, seat)
    return Next(Do.START, "it is listed" if has_data else "it is listed and never started")


def _alone(name: str, *, has_data: bool, running: bool, established: bool) -> Next:
    if running:
        return Next(Do.DONE)
    if has_data:
        return Next(Do.START, "it has its data")
    if established:
        return Next(Do.WAIT, f"no other member of the cluster answers {name}, and it has no data")
    return Next(Do.BOOTSTRAP)


def _unlisted(view: View, *, has_data: bool) -> Next:
    if has_data:
        return Next(Do.WIPE, "its data is that of a member which was removed")
    learner = next((seat for seat in view.seats if seat.learner), None)
    if learner:
        return Next(Do.WAIT, f"{learner.name or learner.peer_url} is still joining")
    unhealthy = _unhealthy(view.voters)
    if unhealthy:
        return Next(Do.WAIT, unhealthy)
    return Next(Do.ADD)


def _replace(view: View, seat: Seat) -> Next:
    """A namesake without data: gone for good, whatever listens at its address."""
    rest = tuple(other for other in view.voters if other.id != seat.id)
    if not seat.learner and _healthy(rest) < quorum(len(rest)):
        return Next(Do.WAIT, _lost(view))
    return Next(Do.REMOVE, "its data folder is gone", seat.id)


def _promotion(view: View, seat: Seat) -> Next:
    if not seat.started:
        return Next(Do.WAIT, f"{seat.name or seat.peer_url} has not joined yet")
    if not seat.learner:
        return Next(Do.DONE) if seat.healthy else Next(Do.WAIT, _unhealthy((seat,)))
    reason = promotion_refused(view.version)
    if reason:
        return Next(Do.REFUSE, reason)
    if _healthy(view.voters) + 1 < quorum(len(view.voters) + 1):
        return Next(Do.WAIT, _lost(view))
    return Next(Do.PROMOTE, member=seat.id)


def leave(view: View | None, peer_url: str) -> Next:
    """The next step towards a cluster without that member; `GO` once it is not listed."""
    if view is None:
        return Next(Do.WAIT, "no member of the cluster answers")
    seat = view.seat(peer_url)
    if seat is None:
        return Next(Do.GO)
    if not view.has_quorum:
        return Next(Do.WAIT, _lost(view))
    return _leave(view, seat)


def _leave(view: View, seat: Seat) -> Next:
    rest = tuple(other for other in view.voters if other.id != seat.id)
    if not rest:
        return Next(Do.REFUSE, "it is the last member that votes")
    if _healthy(rest) < quorum(len(rest)):
        return Next(Do.REFUSE, f"{_unhealthy(rest)}: without this member the quorum would be lost")
    if seat.healthy and not seat.learner and _unhealthy(rest):
        return Next(Do.WAIT, _unhealthy(rest))
    return Next(Do.REMOVE, "", seat.id)


def restart(view: View | None, peer_url: str) -> Next:
    """Whether that member may be stopped for a moment: only while all others are healthy."""
    if view is None:
        return Next(Do.GO, "no member answers: nothing is disturbed")
    seat = view.seat(peer_url)
    if seat is None or not seat.healthy:
        return Next(Do.GO, "it does not serve: nothing is disturbed")
    others = tuple(other for other in view.seats if other.id != seat.id)
    unhealthy = _unhealthy(others)
    return Next(Do.WAIT, unhealthy) if unhealthy else Next(Do.GO)


def promotion_refused(version: str) -> str | None:
    """Why a learner must not be promoted on that version of etcd, if so."""
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    number = tuple(int(part) for part in found.groups()) if found else ()
    first, last = BROKEN_PROMOTION
    if number and first <= number <= last:
        return f"etcd {version} can corrupt a cluster that promotes a learner; 3.5.20 does not"
    return None


def _unhealthy(seats: tuple[Seat, ...]) -> str:
    names = [seat.name or seat.peer_url for seat in seats if not seat.healthy]
    return f"not healthy: {', '.join(names)}" if names else ""


def _lost(view: View) -> str:
    voters = view.voters
    need = quorum(len(voters))
    return f"{_healthy(voters)} of {len(voters)} members are healthy, {need} are needed"
