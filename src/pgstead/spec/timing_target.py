"""From a target to the timings that it stands for; what a stack file says besides wins."""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pgstead.spec.models import milliseconds
from pgstead.timings.targets import LEAST_TTL, LONGEST_TTL, TARGETS, calmest, merged

if TYPE_CHECKING:
    from pgstead.timings.settings import Settings

__all__ = ["named_or_duration", "seconds_of", "with_target"]


def named_or_duration(value: str) -> str:
    """A target, as it is; raises `ValueError` for what is none."""
    if value in TARGETS:
        return value
    try:
        milliseconds(value)
    except ValueError:
        names = ", ".join(TARGETS)
        raise ValueError(f"must be one of {names}, or a time such as 30s") from None
    return value


def seconds_of(target: str | None) -> float | None:
    """The outage in seconds that a target bears; None for a set by name."""
    return None if target is None or target in TARGETS else milliseconds(target) / 1000


def with_target(given: Mapping[str, Any]) -> dict[str, Any]:
    """The timings as written, on top of those that their target stands for."""
    target = given.get("target")
    if not isinstance(target, str):
        return dict(given)
    if target in TARGETS:
        return merged(TARGETS[target], given)
    try:
        wanted = milliseconds(target) / 1000
    except ValueError:
        return dict(given)  # its own field says what is wrong with it
    return merged(_calmest_within(wanted, given), given)


def _calmest_within(wanted: float, given: Mapping[str, Any]) -> dict[str, Any]:
    """The longest lease with which a dead leader costs no more; else the shortest there is.

    Where the lease itself is given, what belongs to it; `rules` tell if that is too long.
    """
    from pydantic import ValidationError  # noqa: PLC0415 - where a target is in seconds only

    if isinstance(lease := given.get("ttl"), int):
        return calmest(max(LEAST_TTL, lease))
    leases = range(LEAST_TTL, LONGEST_TTL + 1)
    try:
        fitting = bisect.bisect_right(leases, wanted, key=lambda ttl: _outage(ttl, given))
    except ValidationError:
        return {}  # what is wrong with the rest is told where it is read
    return calmest(leases[max(0, fitting - 1)])


def _outage(ttl: int, given: Mapping[str, Any]) -> float:
    from pgstead.timings.worst_case import outage_of_a_dead_leader  # noqa: PLC0415 - as above

    return outage_of_a_dead_leader(_settings(merged(calmest(ttl), given)))


def _settings(tree: Mapping[str, Any]) -> Settings:
    """Those of a cluster that says nothing else: how many members it has does not count here."""
    from pgstead.spec.cluster import Cluster  # noqa: PLC0415 - which holds timings
    from pgstead.spec.timing_settings import settings_of  # noqa: PLC0415
    from pgstead.spec.timings import Timings  # noqa: PLC0415

    timings = Timings.model_validate({**tree, "target": None})
    return settings_of(Cluster.model_construct(timings=timings))
