"""The leader cut off: packets to others, from others, or both get lost without a word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pgstead.drills.fault import Scene
from pgstead.drills.faults import choosing
from pgstead.drills.faults.striking import Struck, ending, strike
from pgstead.drills.faults.undoing import Mend
from pgstead.platforms.breaking import Breakage, Cut

LASTS = 20.0
"""Seconds for a cut that nobody may heal by taking over: Patroni still has etcd."""

TTL = 30
"""Patroni's default for `ttl`, in seconds (its documentation, "Dynamic configuration")."""

AFTERWARDS = 10.0
"""Seconds that a cut from etcd lasts beyond the leader's lease."""

WAYS = {
    "": ("in both directions", True, True),
    "-sent": ("what it sends", True, False),
    "-received": ("what it receives", False, True),
}
"""What gets lost, by the end of the fault's name: in words, sent, received."""


@dataclass(frozen=True, slots=True)
class CutOff:
    """The leader's packets to and from some machines."""

    name: str
    title: str
    peers: Callable[[Scene], tuple[str, ...]]
    unless: Callable[[Scene], str | None]
    lasts: Callable[[Scene], float]
    sent: bool
    received: bool

    def refused(self, scene: Scene) -> str | None:
        """Refused where there are no such machines, or no packets can be lost."""
        return self.unless(scene) or scene.platform.breaking().cannot(Breakage.CUT, scene.leader)

    def strike(self, scene: Scene) -> Struck:
        """Lose the packets."""
        machines, leader = scene.machines, scene.leader
        peers = {name: machines[name].address for name in self.peers(scene)}
        cut = Cut(leader, machines[leader].address, peers, self.sent, self.received)
        way = {(True, False): "to", (False, True): "from"}.get((self.sent, self.received))
        lost = f"packets {way}" if way else "packets to and from"
        what = f"{leader} loses {lost} {', '.join(peers)}"
        act = ending(lambda: scene.platform.breaking().cut(cut))
        return strike(scene, what, act, undos=[Mend(leader)], hold=self.lasts(scene))


def _beyond_the_lease(scene: Scene) -> float:
    return float(scene.scope.first.settings.get("ttl", TTL)) + AFTERWARDS


def _a_while(scene: Scene) -> float:
    del scene
    return LASTS


_FROM = (
    ("etcd", "etcd", lambda scene: scene.etcd, choosing.no_etcd, _beyond_the_lease),
    ("standbys", "the standbys", lambda scene: scene.standbys, choosing.no_standby, _a_while),
    (
        "load-balancer",
        "the load balancer",
        lambda scene: scene.load_balancers,
        choosing.no_load_balancer,
        _a_while,
    ),
)

FAULTS = tuple(
    CutOff(
        f"cut-{name}{end}",
        f"the leader cut off from {title}, {words}",
        peers,
        unless,
        lasts,
        sent,
        received,
    )
    for name, title, peers, unless, lasts in _FROM
    for end, (words, sent, received) in WAYS.items()
)
