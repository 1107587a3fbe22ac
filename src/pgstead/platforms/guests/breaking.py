"""Machines with a system of their own, broken on purpose from the inside.

What only a hypervisor can do, to stop a machine where it stands, each platform adds by itself.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from typing import Protocol

from pgstead.errors import PgsteadError, PlatformError, Refused
from pgstead.platforms.breaking.base import Breakage, Cut, Process
from pgstead.reach.base import Finished, Reach

SECONDS = 30.0

TABLE = "pgstead_drill"
"""The table of nftables that holds a cut; nothing else is in it."""

_STAT = r"""
import json, os, signal, sys
def fields(pid):
    try:
        with open(f"/proc/{pid}/stat", errors="replace") as file:
            name, _, rest = file.read().partition("(")[2].rpartition(")")
    except OSError:
        return None
    state, parent, *others = rest.split()
    return None if state in "ZX" else (int(parent), name, f"{pid}:{others[17]}")
"""

_PROCESSES = f"""{_STAT}
found = []
for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
    seen = fields(pid)
    if seen:
        found.append([pid, *seen])
print(json.dumps(sorted(found, key=lambda one: int(one[3].split(":")[1]))))
"""

_SIGNAL = f"""{_STAT}
for identity in sys.argv[2:]:
    pid = int(identity.split(":")[0])
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        continue
    seen = fields(pid)
    if seen and seen[2] == identity:
        signal.pidfd_send_signal(handle, int(sys.argv[1]))
    os.close(handle)
"""

_SET_CLOCK = "import sys, time; time.clock_settime(time.CLOCK_REALTIME, float(sys.argv[1]))"
_STEP_CLOCK = (
    "import sys, time; time.clock_settime(time.CLOCK_REALTIME, time.time() + float(sys.argv[1]))"
)


class Standing(Protocol):
    """What a hypervisor does to a machine."""

    def own_clock(self, machine: str) -> bool:
        """Whether it has a clock of its own."""

    def suspend(self, machine: str, boot: str) -> None:
        """Stop it where it stands. Raises `Refused` if it is at another boot by now."""

    def resume(self, machine: str) -> None:
        """Have it go on; one that was not stopped is left as it is."""


@dataclass(frozen=True)
class GuestBreaking:
    """Implements `platforms.breaking.Breaking`; `reach` gives the way into a machine."""

    reach: Callable[[str], Reach]
    standing: Standing

    def cannot(self, what: Breakage, machine: str) -> str | None:
        """A machine that nobody gets into can be frozen and cut off from power alone."""
        if what is Breakage.FREEZE:
            return None
        try:
            if what is Breakage.CLOCK and not self.standing.own_clock(machine):
                return f"{machine} shares its host's clock"
            asked = ["nft", "list", "tables"] if what is Breakage.CUT else ["python3", "--version"]
            done = self.reach(machine).run(asked, timeout=SECONDS)
        except PgsteadError as error:
            return error.message
        said = (done.stderr or done.stdout).strip()
        return f"{asked[0]} cannot be used on {machine}: {said}" if done.code else None

    def processes(self, machine: str) -> tuple[Process, ...]:
        """The machine's processes, the oldest first."""
        found = json.loads(self._python(machine, _PROCESSES).stdout)
        return tuple(Process(*one) for one in found)

    def signal(self, machine: str, identities: Collection[str], number: int) -> None:
        """Send a signal to those very processes."""
        self._python(machine, _SIGNAL, str(number), *identities)

    def freeze(self, machine: str, boot: str) -> None:
        """Stop the machine where it stands."""
        self.standing.suspend(machine, boot)

    def thaw(self, machine: str) -> None:
        """Have it go on."""
        self.standing.resume(machine)

    def cut(self, cut: Cut) -> None:
        """Lose packets within the machine: its peers see nothing of it."""
        self._done(cut.machine, ["nft", rules(cut)])

    def mend(self, machine: str) -> None:
        """Lose no more of the machine's packets."""
        words = f"add table inet {TABLE}; delete table inet {TABLE}"  # no error without one
        self._done(machine, ["nft", words])

    def step_clock(self, machine: str, seconds: float) -> None:
        """Set the machine's clock ahead, or back."""
        if reason := self.cannot(Breakage.CLOCK, machine):
            raise Refused(f"the clock of {machine} cannot be set: {reason}")
        self._python(machine, _STEP_CLOCK, str(seconds))

    def set_clock(self, machine: str) -> None:
        """Set it to this machine's, up to the time that the way there takes."""
        self._python(machine, _SET_CLOCK, repr(time.time()))

    def _python(self, machine: str, code: str, *words: str) -> Finished:
        return self._done(machine, ["python3", "-c", code, *words])

    def _done(self, machine: str, argv: list[str]) -> Finished:
        done = self.reach(machine).run(argv, timeout=SECONDS)
        if done.code != 0:
            raise PlatformError(f"{machine}: {argv[0]} failed: {done.stderr.strip()}")
        return done


def rules(cut: Cut) -> str:
    """What loses the packets, as one command of nft; a cut that there is gives way."""
    lines = [f"add table inet {TABLE}; delete table inet {TABLE}; add table inet {TABLE}"]
    lines += _chain("output", "daddr", cut.peers) if cut.sent else ()
    lines += _chain("input", "saddr", cut.peers) if cut.received else ()
    return "; ".join(lines)


def _chain(hook: str, end: str, peers: Mapping[str, str]) -> list[str]:
    chain = f"inet {TABLE} {hook}"
    made = f"add chain {chain} {{ type filter hook {hook} priority -10; }}"
    return [made, *(f"add rule {chain} {_family(one)} {end} {one} drop" for one in peers.values())]


def _family(address: str) -> str:
    return "ip" if isinstance(ip_address(address), IPv4Address) else "ip6"
