"""A plan: what is to be done about every resource, and when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum

from pgstead.engine.resource import (
    Recorded,
    Resource,
    Unknown,
    Value,
)
from pgstead.machine import OnChange

MACHINE = "machine"
ETCD = "etcd"
RUNNING = "running:"
"""Prefix of the keys that tell whether a service runs; `running`, `stopped` or `unsupervised`."""


class Action(StrEnum):
    """What is to be done about a resource."""

    NONE = "none"
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    FORGET = "forget"
    UNKNOWN = "unknown"
    LEAVE = "leave"
    REFUSE = "refuse"


class Phase(IntEnum):
    """When a change takes place; a phase begins when the one before has ended.

    Repairs come first, since what is down can neither be asked nor changed. PostgreSQL's
    passwords change on the server before the files that hold them (`SETTINGS`, then
    `FILES`): sessions that are open stay, and a login that fails is tried again. With
    etcd's users it is the other way round (`ACCESS` after `FILES`): a change of a password
    ends the user's tokens at once, and a Patroni that cannot log in again within
    `retry_timeout` gives the primary's role up; one that has read the new password keeps
    its token until then, and logs in with what it has read. What is made or restarted
    comes after both, since it logs in anew. What goes, goes last.
    """

    REPAIR = 0
    SETTINGS = 1
    FILES = 2
    ACCESS = 3
    CREATE = 4
    MACHINES = 5
    DELETE = 6


@dataclass(frozen=True, slots=True)
class Difference:
    """One attribute that is not as it should be; `drift` if it once was."""

    key: str
    label: str
    before: Value | Unknown
    after: Value
    on_change: OnChange
    drift: bool = False
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Unseen:
    """One attribute that could not be read, and why."""

    key: str
    label: str
    reason: str


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one resource, and why, in words.

    `reasons` say once what keeps any number of attributes, the `unseen`, from being read.
    `exclusive` changes disturb something that serves: one at a time in a whole stack. One
    that is `held` starts something that logs in with what the same plan changes.
    """

    address: str
    action: Action
    reasons: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    resource: Resource | None = None
    recorded: Recorded | None = None
    exclusive: bool = False
    held: bool = False
    unseen: tuple[Unseen, ...] = ()

    @property
    def kind(self) -> str:
        """The resource's kind: the part of its address before the first dot."""
        return self.address.partition(".")[0]

    @property
    def effect(self) -> OnChange:
        """The most disruptive of the differences' effects."""
        effects = [difference.on_change for difference in self.differences]
        return max(effects, key=lambda effect: effect.severity, default=OnChange.CREATE_ONLY)

    @property
    def changed(self) -> Mapping[str, OnChange]:
        """The differing keys and what each of them takes."""
        return {difference.key: difference.on_change for difference in self.differences}

    @property
    def phase(self) -> Phase:
        """When it takes place."""
        if self.action in (Action.DELETE, Action.FORGET):
            return Phase.DELETE
        if self.action is not Action.UPDATE:
            return Phase.CREATE if self.action is Action.CREATE else Phase.MACHINES
        if any(key.startswith(RUNNING) for key in self.changed):
            return Phase.CREATE if self.held else Phase.REPAIR
        if self.kind == ETCD:
            return _access(self.differences)
        if self.kind == MACHINE:
            return Phase.MACHINES if self.exclusive else Phase.FILES
        return Phase.SETTINGS


def _access(differences: Collection[Difference]) -> Phase:
    """A user whose files are right needs it now, as a new one does; others have them first."""
    if differences and all(difference.drift for difference in differences):
        return Phase.REPAIR
    new = any(difference.before is None for difference in differences)
    return Phase.SETTINGS if new else Phase.ACCESS


@dataclass(frozen=True, slots=True)
class Plan:
    """Every resource's change, in the order in which they are done.

    `renewed` are clusters whose members all lost their data, and which begin anew: what the
    state is to say of them before the first step, so that a rerun goes on with it.
    """

    changes: tuple[Change, ...]
    renewed: tuple[Recorded, ...] = ()

    @property
    def pending(self) -> tuple[Change, ...]:
        """The changes that do something."""
        idle = (Action.NONE, Action.UNKNOWN, Action.LEAVE, Action.REFUSE)
        return tuple(change for change in self.changes if change.action not in idle)

    @property
    def refused(self) -> tuple[Change, ...]:
        """What would lose something; a plan that has any is not applied."""
        return self._of(Action.REFUSE)

    @property
    def unknown(self) -> tuple[Change, ...]:
        """What could not be seen."""
        return self._of(Action.UNKNOWN)

    @property
    def left_out(self) -> tuple[Change, ...]:
        """What is left for later, since some of the ground is down."""
        return self._of(Action.LEAVE)

    def _of(self, action: Action) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.action is action)

    @property
    def summary(self) -> str:
        """The plan in one line."""
        counts = Counter(change.action for change in self.changes)
        same = counts.pop(Action.NONE, 0)
        if not counts:
            return f"Nothing to do: all {same} resources are as the stack file says."
        words = [f"{counts[action]} to {action}" for action in Action if counts[action]]
        text = ", ".join(words).replace("to unknown", "cannot be seen")
        text = text.replace("to leave", "left out")
        return f"Plan: {text}; {same} stay as they are."

    def with_last(self, last: Collection[str]) -> Plan:
        """The same with those addresses, and what waits for them, at the end of their phases."""
        late: set[str] = set()
        for change in self.changes:
            known = change.resource or change.recorded
            if change.address in last or (known and late.intersection(known.after)):
                late.add(change.address)
        ordered = sorted(self.changes, key=lambda c: (c.phase, c.address in late))
        return replace(self, changes=tuple(ordered))

    def phases(self) -> Iterator[tuple[Phase, tuple[Change, ...]]]:
        """The pending changes by phase, empty ones left out."""
        for phase in Phase:
            changes = tuple(change for change in self.pending if change.phase is phase)
            if changes:
                yield phase, changes
