"""Whom a fault is for, and what keeps it from making sense."""

from __future__ import annotations

from pgstead.drills.fault import Scene

MAJORITY = 3
"""The fewest members of an etcd cluster that can lose one."""


def nothing(scene: Scene) -> None:
    """For faults that every cluster can have."""
    del scene


def no_standby(scene: Scene) -> str | None:
    """Why no standby can take part; None if one can."""
    return None if scene.standbys else "there is no standby"


def too_few_standbys(scene: Scene) -> str | None:
    """Why no server of PostgreSQL can be spared; None if one can.

    In strict synchronous mode the leader takes writes only while a standby confirms them, and
    one that took over needs another standby (Patroni's documentation, "Replication modes").
    """
    if len(scene.standbys) == 1 and is_strict(scene):
        return "in strict synchronous mode, with one standby, writes wait until all are back"
    return no_standby(scene)


def is_strict(scene: Scene) -> bool:
    """Whether writes wait while no standby confirms them."""
    settings = scene.scope.first.settings
    return bool(settings.get("synchronous_mode") and settings.get("synchronous_mode_strict"))


def too_few_etcd_members(scene: Scene) -> str | None:
    """Why no member of etcd can be spared; None if one can."""
    if no_etcd(scene) or len(scene.etcd) >= MAJORITY:
        return no_etcd(scene)
    return f"etcd has {len(scene.etcd)} members: without one of them it has no majority"


def no_etcd(scene: Scene) -> str | None:
    """Why etcd cannot be broken at all."""
    return None if scene.etcd else "the stack has no etcd of its own"


def no_load_balancer(scene: Scene) -> str | None:
    """Why no load balancer can be broken."""
    return None if scene.load_balancers else "the stack has no load balancer"


def replica(scene: Scene) -> str:
    """The standby that commits need least; there is one."""
    others = [name for name in scene.standbys if name not in scene.synchronous]
    return (others or list(scene.standbys))[-1]
