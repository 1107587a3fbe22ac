"""etcd gone as a whole: Patroni's failsafe mode keeps the leader, as long as all members answer."""

from __future__ import annotations

from pgstead.drills.fault import Scene
from pgstead.drills.faults import choosing
from pgstead.drills.faults.machines import Dead

MINUTE = 60.0


def _no_replica(scene: Scene) -> str | None:
    return choosing.no_etcd(scene) or choosing.too_few_standbys(scene)


FAULTS = (
    Dead(
        "etcd-down",
        "all of etcd down for a minute",
        lambda scene: scene.etcd,
        choosing.no_etcd,
        MINUTE,
    ),
    Dead(
        "etcd-and-replica-down",
        "all of etcd and a replica down for a minute",
        lambda scene: (*scene.etcd, choosing.replica(scene)),
        _no_replica,
        MINUTE,
    ),
)
