"""Machines that nothing can be done to, and why."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from pgstead.errors import Refused
from pgstead.platforms.breaking.base import Breakage, Cut, Process


@dataclass(frozen=True, slots=True)
class Unbreakable:
    """Implements `Breaking` for a platform that can break nothing, for that `reason`."""

    reason: str

    def cannot(self, what: Breakage, machine: str) -> str | None:
        """Always the same reason."""
        del what, machine
        return self.reason

    def processes(self, machine: str) -> tuple[Process, ...]:
        """None that could be told of."""
        del machine
        return ()

    def signal(self, machine: str, identities: Collection[str], number: int) -> None:
        """Refused."""
        del identities, number
        self._refuse(machine)

    def freeze(self, machine: str, boot: str) -> None:
        """Refused."""
        del boot
        self._refuse(machine)

    def thaw(self, machine: str) -> None:
        """Nothing stands still."""

    def cut(self, cut: Cut) -> None:
        """Refused."""
        self._refuse(cut.machine)

    def mend(self, machine: str) -> None:
        """Nothing was cut."""

    def step_clock(self, machine: str, seconds: float) -> None:
        """Refused."""
        del seconds
        self._refuse(machine)

    def set_clock(self, machine: str) -> None:
        """Nothing was set."""

    def _refuse(self, machine: str) -> None:
        raise Refused(f"{machine} cannot be broken: {self.reason}")
