"""What an operator does on purpose: a switchover."""

from __future__ import annotations

from dataclasses import dataclass

from pgstead.clusters.groups import api
from pgstead.drills.fault import Scene
from pgstead.drills.faults import choosing
from pgstead.drills.faults.striking import Struck, beginning, strike


@dataclass(frozen=True, slots=True)
class Switchover:
    """The leader's role handed to a standby, by Patroni, which chooses it.

    That is what `pgstead switchover` does where no member is named (`clusters.rolling` says
    why); a cluster that is drilled is whole, so that all who vote are there.
    """

    name: str = "switchover"
    title: str = "a switchover"

    def refused(self, scene: Scene) -> str | None:
        """Refused without a standby."""
        return choosing.no_standby(scene)

    def strike(self, scene: Scene) -> Struck:
        """Have Patroni do it; returns when it says that it is done."""
        members = scene.scope.members
        leader = members[scene.leader]
        act = beginning(lambda: api(leader).switchover(leader.name))
        return strike(scene, f"had {leader.name} hand over", act)


FAULTS = (Switchover(),)
