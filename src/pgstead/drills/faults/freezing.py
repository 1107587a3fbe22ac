"""What stands still but is not dead: its connections stay open, and nobody answers on them."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from pgstead.drills.fault import Scene
from pgstead.drills.faults import choosing
from pgstead.drills.faults.processes import out_of_reach, running, told
from pgstead.drills.faults.striking import Struck, beginning, strike
from pgstead.drills.faults.undoing import Continue, Thaw
from pgstead.platforms.breaking import Breakage

PROGRAM = "postgres"


@dataclass(frozen=True, slots=True)
class LeaderFrozen:
    """The leader's whole machine."""

    name: str = "leader-frozen"
    title: str = "the leader's machine frozen"

    def refused(self, scene: Scene) -> str | None:
        """Refused where nobody could take over, or nothing can be frozen."""
        few = choosing.too_few_standbys(scene)
        return few or scene.platform.breaking().cannot(Breakage.FREEZE, scene.leader)

    def strike(self, scene: Scene) -> Struck:
        """Freeze it."""
        machine, platform = scene.leader, scene.platform
        boot = platform.power(machine).boot
        act = beginning(lambda: platform.breaking().freeze(machine, boot))
        return strike(scene, f"froze {machine}", act, undos=[Thaw(machine)])


@dataclass(frozen=True, slots=True)
class PostgresFrozen:
    """PostgreSQL alone: Patroni beside it lives, and has to find out."""

    name: str = "postgres-frozen"
    title: str = "PostgreSQL alone frozen on the leader"

    def refused(self, scene: Scene) -> str | None:
        """Refused where nobody could take over, or no signal can be sent."""
        few = choosing.too_few_standbys(scene)
        return few or out_of_reach(scene.platform, scene.leader, PROGRAM)

    def strike(self, scene: Scene) -> Struck:
        """Stop the server's first process, which starts no more then, and its children."""
        machine, breaking = scene.leader, scene.platform.breaking()
        found = running(scene.platform, machine, PROGRAM)

        def freeze() -> None:
            breaking.signal(machine, [found[0].identity], signal.SIGSTOP)
            children = running(scene.platform, machine, PROGRAM)
            breaking.signal(machine, [one.identity for one in children], signal.SIGSTOP)

        what = f"froze {told(PROGRAM, found)} on {machine}"
        undos = [Continue(machine, PROGRAM)]
        return strike(scene, what, beginning(freeze), undos=undos)


FAULTS = (LeaderFrozen(), PostgresFrozen())
