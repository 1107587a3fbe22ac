"""What one look at a cluster sees. Whatever could not be seen is None, never assumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class Mode(StrEnum):
    """How the cluster replicates, as Patroni's dynamic configuration has it."""

    ASYNCHRONOUS = "off"
    SYNCHRONOUS = "on"
    QUORUM = "quorum"


@dataclass(frozen=True, slots=True)
class LeaderKey:
    """The leader's key in etcd: who holds it, the revision that wrote it, and its lease.

    Renewing the lease changes none of them; a Patroni that starts anew writes the key with
    another lease before it leads (patroni.dcs.etcd3, `_update_leader`).
    """

    member: str
    revision: int
    lease: int


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease's time in seconds: what remains, cut to whole ones by etcd, and what was granted."""

    remaining: int
    granted: int

    @property
    def age(self) -> int:
        """Seconds since it was last renewed, at least: the cut may hide one more."""
        return self.granted - self.remaining - 1


@dataclass(frozen=True, slots=True)
class Sync:
    """Patroni's key `sync`: whom commits waited for.

    `quorum` is how many of `members` a candidate has to see besides itself.
    """

    leader: str
    standbys: tuple[str, ...] = ()
    quorum: int = 0

    @property
    def members(self) -> frozenset[str]:
        """Who votes."""
        return frozenset((self.leader, *self.standbys))


@dataclass(frozen=True, slots=True)
class Dcs:
    """What etcd held at one revision, read through its quorum.

    `leader` and `lease` are None where nobody leads. `failover` tells that a switchover or
    failover was asked for, `failsafe` who takes part in failsafe mode (None where it is off),
    `timeline` the last one that the history knows of (0 for none). `acting` is the sentinel
    that may act; `resting` tells of a fencing a moment ago, and `fenced` of machines, with
    their boots, that one has taken on.
    """

    leader: LeaderKey | None = None
    lease: Lease | None = None
    sync: Sync | None = None
    mode: Mode = Mode.ASYNCHRONOUS
    paused: bool = False
    failover: bool = False
    failsafe: frozenset[str] | None = None
    timeline: int = 0
    loop_wait: int = 10
    acting: str = ""
    resting: bool = False
    fenced: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Member:
    """What a Patroni member says of itself; `answers` is false where nothing came back.

    `streams` tells that it receives WAL, `position` how much it has, in bytes. `failsafe` is
    whether a leader without etcd told it a moment ago that it goes on.
    """

    name: str
    answers: bool
    running: bool = False
    primary: bool = False
    streams: bool = False
    position: int = 0
    timeline: int = 0
    paused: bool = False
    failsafe: bool = False
    eligible: bool = True


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine as its platform sees it: `on` is None where the platform cannot tell.

    `boot` differs after every start.
    """

    on: bool | None
    boot: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """One look. `at` is in seconds of one steady clock, from before etcd was asked.

    `until` is when it ended. Machines are looked at after etcd has answered: one that is off
    was off with what etcd held then. `dcs` is None where etcd has no quorum, and `trouble` says
    why. `members` are the Patroni members by name where they were asked; `machine_of` names
    their machines. `held` says who else works on the stack, `later` which machines could not be
    started a moment ago.
    """

    at: float
    until: float
    dcs: Dcs | None
    machines: Mapping[str, Machine] = field(default_factory=lambda: MappingProxyType({}))
    members: Mapping[str, Member] | None = None
    machine_of: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    held: str = ""
    trouble: str = ""
    later: frozenset[str] = frozenset()

    @property
    def key(self) -> LeaderKey | None:
        """The leader's key."""
        return self.dcs.leader if self.dcs else None

    @property
    def leader_machine(self) -> str | None:
        """The machine of the member that holds the key; None if nobody does, or a stranger."""
        return self.machine_of.get(self.key.member) if self.key else None

    @property
    def leaders(self) -> Machine:
        """The leader's machine as it was seen."""
        unseen = Machine(None, reason="it was not looked at")
        return self.machines.get(self.leader_machine or "", unseen)

    @property
    def leader_answers(self) -> bool | None:
        """Whether the leader's Patroni answers; None if it was not asked."""
        if self.members is None or self.key is None or self.key.member not in self.members:
            return None
        return self.members[self.key.member].answers

    @property
    def others(self) -> tuple[Member, ...]:
        """The members that answer, but for the leader."""
        leader = self.key.member if self.key else ""
        asked = (self.members or {}).values()
        return tuple(one for one in asked if one.answers and one.name != leader)
