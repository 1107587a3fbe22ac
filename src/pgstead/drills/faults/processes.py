"""Servers killed where they run; whoever looks after them starts them again."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass

from pgstead.drills.fault import Scene
from pgstead.drills.faults import choosing
from pgstead.drills.faults.striking import Struck, beginning, strike
from pgstead.errors import PgsteadError, Refused
from pgstead.platforms.base import Platform
from pgstead.platforms.breaking import Breakage, Process


@dataclass(frozen=True, slots=True)
class Killed:
    """Every process of a program on one machine, killed at once.

    PostgreSQL's children are called as the server itself is, and die with it: none is left to
    finish what it was about to confirm.
    """

    name: str
    title: str
    program: str
    where: Callable[[Scene], str]
    unless: Callable[[Scene], str | None]

    def refused(self, scene: Scene) -> str | None:
        """Refused where there is no such machine, or it cannot be got at."""
        return self.unless(scene) or out_of_reach(scene.platform, self.where(scene), self.program)

    def strike(self, scene: Scene) -> Struck:
        """Kill them."""
        machine = self.where(scene)
        found = running(scene.platform, machine, self.program)
        identities = [one.identity for one in found]
        breaking = scene.platform.breaking()
        what = f"killed {told(self.program, found)} on {machine}"
        act = beginning(lambda: breaking.signal(machine, identities, signal.SIGKILL))
        return strike(scene, what, act)


def out_of_reach(platform: Platform, machine: str, program: str) -> str | None:
    """Why no signal can be sent to that program there; None if one can."""
    reason = platform.breaking().cannot(Breakage.SIGNAL, machine)
    if reason:
        return reason
    try:
        running(platform, machine, program)
    except PgsteadError as error:
        return error.message
    return None


def running(platform: Platform, machine: str, program: str) -> list[Process]:
    """A program's processes on a machine, the oldest first. Raises `Refused` for none."""
    found = [one for one in platform.breaking().processes(machine) if one.name == program]
    if not found:
        raise Refused(f"no {program} runs on {machine}")
    return found


def told(program: str, found: list[Process]) -> str:
    """Those processes in words."""
    children = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return f"{program} (pid {found[0].pid}{children})"


FAULTS = (
    Killed(
        "postgres-killed",
        "PostgreSQL killed on the leader",
        "postgres",
        lambda scene: scene.leader,
        choosing.nothing,
    ),
    Killed(
        "patroni-killed",
        "Patroni alone killed on the leader",
        "patroni",
        lambda scene: scene.leader,
        choosing.nothing,
    ),
    Killed(
        "load-balancer-killed",
        "HAProxy killed",
        "haproxy",
        lambda scene: scene.load_balancers[0],
        choosing.no_load_balancer,
    ),
)
