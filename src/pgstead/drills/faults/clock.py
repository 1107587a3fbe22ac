"""The leader's clock set wrong: leases and timeouts must not go by it."""

from __future__ import annotations

from dataclasses import dataclass

from pgstead.drills.fault import Scene
from pgstead.drills.faults.striking import Struck, ending, strike
from pgstead.drills.faults.undoing import SetClock
from pgstead.platforms.breaking import Breakage

STEP = 3600.0
LASTS = 20.0


@dataclass(frozen=True, slots=True)
class ClockStepped:
    """The clock of the leader's machine, an hour off; `seconds` are negative for back."""

    name: str
    title: str
    seconds: float

    def refused(self, scene: Scene) -> str | None:
        """Refused where machines share a clock with others."""
        return scene.platform.breaking().cannot(Breakage.CLOCK, scene.leader)

    def strike(self, scene: Scene) -> Struck:
        """Set it."""
        machine, breaking = scene.leader, scene.platform.breaking()
        way = "ahead" if self.seconds > 0 else "back"
        what = f"set the clock of {machine} {way} by {abs(self.seconds):.0f} s"
        act = ending(lambda: breaking.step_clock(machine, self.seconds))
        return strike(scene, what, act, undos=[SetClock(machine)], hold=LASTS)


FAULTS = (
    ClockStepped("clock-ahead", "the leader's clock set an hour ahead", STEP),
    ClockStepped("clock-back", "the leader's clock set an hour back", -STEP),
)
