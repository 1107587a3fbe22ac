"""What operations give back: frozen, plain, ready to be rendered."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pgstead.sentinel.events import Event


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """One machine as `status` shows it.

    `role` is in the field's words: leader, sync standby, quorum standby, replica, etcd
    leader, etcd follower, learner, load balancer, standalone. `lag` is in bytes. `reason` is
    why the platform cannot tell of it, or what ails it besides; empty where there is nothing.
    """

    machine: str
    role: str
    state: str
    address: str
    lag: int | None = None
    timeline: int | None = None
    pending_restart: bool = False
    certificate_expires: datetime | None = None
    healthy: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """A stack at one moment; it is whole when nothing is wrong.

    `events` are the last of its sentinels', the oldest first.
    """

    name: str
    platform: str
    members: tuple[MemberStatus, ...]
    problems: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether every member is as it should be."""
        return not self.problems and all(member.healthy for member in self.members)


@dataclass(frozen=True, slots=True)
class Up:
    """What an `up` did. Seconds count from its start; None where nothing was waited for.

    `put_aside` is where data is now of members that left; `left_out` says of each address what
    was not done about it, and why.
    """

    name: str
    file: Path
    changed: tuple[str, ...]
    summary: str
    accepted: bool = True
    first_write_seconds: float | None = None
    ready_seconds: float | None = None
    connections: dict[str, str] = field(default_factory=dict)
    put_aside: tuple[Path, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Destroyed:
    """What a `destroy` removed, and the folders in which data was kept."""

    removed: tuple[str, ...]
    kept: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """What `validate` found."""

    machines: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SwitchedOver:
    """Who led, who leads now, and how long it took in seconds."""

    before: str
    after: str
    seconds: float
