"""Machines of the local platform, broken on purpose: signals to their processes, lost packets."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from pgstead.errors import Refused
from pgstead.platforms.breaking import Breakage, Cut, Process
from pgstead.platforms.local import power, processes
from pgstead.platforms.local.cutting import Cutting
from pgstead.platforms.local.services import Services

SHARED_CLOCK = "machines of the local platform share this machine's clock"


@dataclass(frozen=True)
class LocalBreaking:
    """Implements `platforms.breaking.Breaking`; `services` gives a machine's by its name."""

    services: Callable[[str], Services]
    cutting: Cutting

    def cannot(self, what: Breakage, machine: str) -> str | None:
        """Signals always can be sent; cutting takes root, nftables and control groups."""
        del machine
        if what is Breakage.CLOCK:
            return SHARED_CLOCK
        return self.cutting.cannot() if what is Breakage.CUT else None

    def processes(self, machine: str) -> tuple[Process, ...]:
        """The machine's processes, the oldest first."""
        mine = self.services(machine).mine()
        return tuple(Process(one.pid, one.parent, one.name, one.identity) for one in mine)

    def signal(self, machine: str, identities: Collection[str], number: int) -> None:
        """Send a signal to those very processes; they are not looked for, which would take time."""
        del machine
        for identity in identities:
            pid, _, started = identity.partition(":")
            processes.send(processes.Process(int(pid), 0, int(started), ""), number)

    def freeze(self, machine: str, boot: str) -> None:
        """Stop all of its processes. The supervisor takes them for running."""
        services = self.services(machine)
        power.check_boot(services, boot)
        if not services.mine():
            raise Refused(f"{machine} is off and cannot be frozen")
        power.freeze(services)

    def thaw(self, machine: str) -> None:
        """Have all of its processes go on."""
        power.thaw(self.services(machine))

    def cut(self, cut: Cut) -> None:
        """Lose packets between processes of machines that all have the same source address."""
        self.cutting.cut(cut, lambda machine: self.services(machine).mine())

    def mend(self, machine: str) -> None:
        """Lose no more packets; there is one cut in a stack at a time."""
        del machine
        self.cutting.mend()

    def step_clock(self, machine: str, seconds: float) -> None:
        """Refused: it would be every program's clock."""
        del seconds
        raise Refused(f"the clock of {machine} cannot be set: {SHARED_CLOCK}")

    def set_clock(self, machine: str) -> None:
        """It is this machine's already."""
