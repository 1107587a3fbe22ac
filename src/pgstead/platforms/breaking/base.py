"""The protocol of what breaks machines on purpose, and brings them back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Breakage(Enum):
    """Kinds of harm that a platform may or may not be able to do."""

    SIGNAL = "signal"
    FREEZE = "freeze"
    CUT = "cut"
    CLOCK = "clock"


@dataclass(frozen=True, slots=True)
class Process:
    """A process of a machine; `identity` differs from any later one's with the same `pid`."""

    pid: int
    parent: int
    name: str
    identity: str


@dataclass(frozen=True, slots=True)
class Cut:
    """What gets lost between `machine`, at `address`, and its `peers` (name -> address).

    `sent` is what the machine sends to them, `received` what they send to it. Both are
    packets, whoever opened the connection that they belong to.
    """

    machine: str
    address: str
    peers: Mapping[str, str]
    sent: bool = True
    received: bool = True


class Breaking(Protocol):
    """Breaks machines. What it broke can be brought back by another process, from names alone.

    All methods raise `PlatformError`, and `Refused` where `cannot` gives a reason.
    """

    def cannot(self, what: Breakage, machine: str) -> str | None:
        """Why that cannot be done to a machine here, in words; None if it can."""

    def processes(self, machine: str) -> tuple[Process, ...]:
        """The machine's processes, the oldest first."""

    def signal(self, machine: str, identities: Collection[str], number: int) -> None:
        """Send a signal to those very processes; one that is gone is no error."""

    def freeze(self, machine: str, boot: str) -> None:
        """Have everything of that boot stand still, its memory and its connections kept.

        Raises `Refused` if the machine is at another boot by now.
        """

    def thaw(self, machine: str) -> None:
        """Have it go on; one that does not stand still, or is off, is left as it is."""

    def cut(self, cut: Cut) -> None:
        """Lose those packets from now on, of connections old and new."""

    def mend(self, machine: str) -> None:
        """Lose no more packets of that machine; one that was not cut is left as it is."""

    def step_clock(self, machine: str, seconds: float) -> None:
        """Set the machine's clock ahead by that much, or back if it is negative."""

    def set_clock(self, machine: str) -> None:
        """Set the machine's clock to what this machine's says."""
