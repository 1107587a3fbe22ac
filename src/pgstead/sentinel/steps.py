"""The steps that a sentinel takes. Each is complete in itself: stopping after any is safe."""

from __future__ import annotations

from dataclasses import dataclass

from pgstead.sentinel.observation import LeaderKey


@dataclass(frozen=True, slots=True)
class Stand:
    """Do nothing, and why. `closely` asks for the next look at once, with every member asked."""

    reason: str
    closely: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """Write down in etcd that this boot of the machine is about to be fenced.

    Whatever happens to the sentinel then, the machine is started again by the next. Nothing else
    comes of it: the note of a leader that lives after all is removed.
    """

    machine: str
    boot: str


@dataclass(frozen=True, slots=True)
class PowerOff:
    """Power that boot of the machine off, and verify that it is."""

    machine: str
    boot: str


@dataclass(frozen=True, slots=True)
class TakeKey:
    """Delete that very key of the leader, whose machine is off, if this sentinel may still act."""

    machine: str
    key: LeaderKey


@dataclass(frozen=True, slots=True)
class Start:
    """Start a machine that was fenced: it comes back as a standby."""

    machine: str


@dataclass(frozen=True, slots=True)
class Forget:
    """Remove the note of a machine that runs again, or is no part of the stack any more."""

    machine: str


Act = Note | PowerOff | TakeKey | Start | Forget
Step = Stand | Act
