"""Clusters whose members lost their data all at once. Pure.

Each of them is as good as any other, so that one alone is made anew unasked; together they
are the only copy of what their cluster holds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from pgstead.engine.plan import Change
from pgstead.engine.resource import Observed, Recorded, Resource

CLUSTER = "cluster"
"""The key, in a resource's `place`, of the address that stands for its cluster."""

SERVED = ("ready", "updating")


def cluster_of(resource: Resource | Recorded) -> str:
    """The address of the cluster that it is a member of; empty if of none."""
    return str(resource.place.get(CLUSTER, ""))


def has_served(known: Recorded | None) -> bool:
    """Whether what the state tells of was complete once, and nobody takes it away."""
    return known is not None and known.status in SERVED


def clusters(
    desired: Collection[Resource],
    recorded: Mapping[str, Recorded],
    observed: Mapping[str, Observed],
) -> frozenset[str]:
    """The clusters of which every member that was made is gone.

    One that is being made has nothing to lose yet.
    """
    return frozenset(
        cluster
        for cluster in {cluster_of(resource) for resource in desired if resource.loss}
        if _is_lost(cluster, recorded, observed)
    )


def _is_lost(
    cluster: str, recorded: Mapping[str, Recorded], observed: Mapping[str, Observed]
) -> bool:
    known = recorded.get(cluster)
    if known is not None and not has_served(known):
        return False
    made = _made(cluster, recorded)
    return bool(made) and all(observed.get(address) is None for address in made)


def _made(cluster: str, recorded: Mapping[str, Recorded]) -> list[str]:
    members = (one for one in recorded.values() if cluster_of(one) == cluster)
    return [one.address for one in members if has_served(one)]


def accepted(
    lost: Collection[str], recorded: Mapping[str, Recorded], recreate: Collection[str]
) -> frozenset[str]:
    """Those of the lost clusters that may be made anew: named themselves, or every member."""
    named = set(recreate)
    return frozenset(
        cluster
        for cluster in lost
        if cluster in named or named.issuperset(_made(cluster, recorded))
    )


def renewed(clusters: Collection[str], recorded: Mapping[str, Recorded]) -> dict[str, Recorded]:
    """What the state says of clusters that begin anew: they are being made, as at first."""
    return {
        cluster: replace(recorded[cluster], status="creating")
        for cluster in sorted(clusters)
        if cluster in recorded
    }


def names(refused: Collection[Change]) -> tuple[str, ...]:
    """What to name so that these are made anew: the cluster once, rather than each member."""
    sizes: dict[str, int] = {}
    for change in refused:
        cluster = _group(change)
        sizes[cluster] = sizes.get(cluster, 0) + 1
    found = (_group(change) if sizes[_group(change)] > 1 else change.address for change in refused)
    return tuple(dict.fromkeys(found))


def _group(change: Change) -> str:
    """The cluster that is lost with it, or the resource itself."""
    resource = change.resource
    return cluster_of(resource) if resource and resource.loss else change.address
