"""Machines whose power goes: nothing on them says another word, and nothing starts again."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pgstead.clusters.groups import layers
from pgstead.drills.fault import Scene
from pgstead.drills.faults import choosing
from pgstead.drills.faults.striking import Struck, beginning, strike
from pgstead.drills.faults.undoing import Start
from pgstead.errors import Refused
from pgstead.platforms.base import Platform

SEEN = 5.0
"""Seconds for which a loss lasts that need not be noticed: long enough for a lease's renewals."""

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dead:
    """Machines without power, all from the same moment on, until they are started again."""

    name: str
    title: str
    whom: Callable[[Scene], Names]
    unless: Callable[[Scene], str | None]
    hold: float = 0.0

    def refused(self, scene: Scene) -> str | None:
        """Refused where the cluster has not what it takes."""
        return self.unless(scene)

    def strike(self, scene: Scene) -> Struck:
        """Cut their power."""
        names = self.whom(scene)
        boots = {name: _boot(scene.platform, name) for name in names}
        chosen = [scene.machines[name] for name in names]
        back = Start(tuple(tuple(layer) for layer in layers(chosen)))
        what = f"cut the power of {', '.join(names)}"
        act = beginning(lambda: _power_off(scene.platform, boots))
        return strike(scene, what, act, undos=[back], hold=self.hold)


def _boot(platform: Platform, machine: str) -> str:
    power = platform.power(machine)
    if not power.on:
        raise Refused(f"{machine} is off already")
    return power.boot


def _power_off(platform: Platform, boots: dict[str, str]) -> None:
    with ThreadPoolExecutor(len(boots), thread_name_prefix="power") as pool:
        list(pool.map(platform.power_off, boots.keys(), boots.values()))


def _no_synchronous(scene: Scene) -> str | None:
    few = choosing.too_few_standbys(scene)
    return few or (None if scene.synchronous else "no standby is synchronous")


def _etcd_leader_unknown(scene: Scene) -> str | None:
    few = choosing.too_few_etcd_members(scene)
    return few or (None if scene.etcd_leader else "which member leads etcd is not known")


def _both_leaders(scene: Scene) -> str | None:
    return _etcd_leader_unknown(scene) or choosing.too_few_standbys(scene)


def _etcd_leader(scene: Scene) -> str:
    return scene.etcd_leader or scene.etcd[0]


def _etcd_follower(scene: Scene) -> str:
    return next(name for name in scene.etcd if name != scene.etcd_leader)


def _everything(scene: Scene) -> Names:
    return (*scene.load_balancers, scene.leader, *scene.standbys, *scene.etcd)


FAULTS = (
    Dead(
        "leader-dead",
        "the leader's machine dead",
        lambda scene: (scene.leader,),
        choosing.too_few_standbys,
    ),
    Dead(
        "standby-dead",
        "a standby's machine dead",
        lambda scene: (choosing.replica(scene),),
        choosing.too_few_standbys,
        SEEN,
    ),
    Dead(
        "synchronous-standby-dead",
        "the synchronous standby's machine dead",
        lambda scene: scene.synchronous[:1],
        _no_synchronous,
        SEEN,
    ),
    Dead(
        "etcd-member-dead",
        "an etcd member's machine dead",
        lambda scene: (_etcd_follower(scene),),
        choosing.too_few_etcd_members,
        SEEN,
    ),
    Dead(
        "etcd-leader-dead",
        "the machine of etcd's leader dead",
        lambda scene: (_etcd_leader(scene),),
        _etcd_leader_unknown,
        SEEN,
    ),
    Dead(
        "both-leaders-dead",
        "the machines of the leader and of etcd's leader dead",
        lambda scene: (scene.leader, _etcd_leader(scene)),
        _both_leaders,
    ),
    Dead(
        "all-dead",
        "the whole cluster without power at once",
        _everything,
        choosing.nothing,
        SEEN,
    ),
)
