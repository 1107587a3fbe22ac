"""A stack's failover timings: each with where it comes from, and what follows for each fault."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pgstead.errors import SpecError
from pgstead.operations.session import open_session
from pgstead.spec import Stack, Tree, TreePath
from pgstead.spec.timing_settings import settings_of
from pgstead.timings.catalogue import CATALOGUE, MODULES, Setting
from pgstead.timings.targets import LEAST_TTL, TARGETS, calmest
from pgstead.timings.worst_case import worst_cases

if TYPE_CHECKING:
    from pgstead.modules.timings import ClusterTimings
    from pgstead.timings.bounds import Bound

__all__ = ["Report", "SettingLine", "timings"]

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class SettingLine:
    """A setting: its value (times in seconds), and where that comes from.

    `origin` is `FILE:LINE`, `target NAME` or `default`; `name` is what a stack file calls it.
    """

    setting: Setting
    name: str
    value: object
    origin: str


@dataclass(frozen=True, slots=True)
class Report:
    """The timings of one Patroni cluster; `faults` are how long writes stop at most, by fault."""

    scope: str
    target: str | None
    settings: tuple[SettingLine, ...]
    faults: Mapping[str, Bound]


def timings(file: Path) -> tuple[tuple[Report, ...], tuple[str, ...]]:
    """The reports of a stack's Patroni clusters, and its warnings; nothing is touched.

    Raises `SpecError` for the file, and where it has no Patroni cluster.
    """
    with open_session(file) as session:
        found = session.blueprint.timings
        if not found:
            raise SpecError(
                f"{file}: there is no Patroni cluster, whose timings could add up",
                hint="A standalone server has none; a `cluster`, or patroni-server modules, do.",
            )
        return tuple(_report(session.stack, one) for one in found), session.warnings


def _report(stack: Stack, cluster: ClusterTimings) -> Report:
    cluster = _with_round_trip(stack, cluster)
    lines = tuple(
        _line(stack, cluster, setting)
        for setting in CATALOGUE
        if getattr(cluster.settings, setting.part) is not None
        and (setting.module or stack.cluster is not None)
    )
    target = None if stack.cluster is None else stack.cluster.timings.target or "fast"
    return Report(cluster.scope, target, lines, worst_cases(cluster.settings))


def _with_round_trip(stack: Stack, cluster: ClusterTimings) -> ClusterTimings:
    """With what only a cluster says, and no module: how far apart its etcd members are."""
    etcd = cluster.settings.etcd
    if stack.cluster is None or etcd is None:
        return cluster
    said = settings_of(stack.cluster).etcd
    trip = said.round_trip if said else None
    etcd = replace(etcd, round_trip=None if trip is None or math.isnan(trip) else trip)
    return replace(cluster, settings=replace(cluster.settings, etcd=etcd))


def _line(stack: Stack, cluster: ClusterTimings, setting: Setting) -> SettingLine:
    value = cluster.settings.value(setting.key)
    if stack.cluster is None:
        path = ("modules", cluster.modules[setting.part], *MODULES[setting.part], *setting.module)
        return SettingLine(setting, setting.variable, value, _origin(stack, path, None))
    name = ".".join(("timings", *setting.cluster))
    return SettingLine(setting, name, value, _origin(stack, setting.path, setting))


def _origin(stack: Stack, path: TreePath, setting: Setting | None) -> str:
    if (place := _written(stack.written, path)) is not None:
        return stack.source.where(place)
    if setting is None or stack.cluster is None:
        return DEFAULT
    target = stack.cluster.timings.target
    of_target = _from_target(target, setting) if target else False
    return f"target {target}" if of_target else DEFAULT


def _written(tree: Tree, path: Sequence[str | int]) -> TreePath | None:
    """The path as it stands in the file, if it does; PostgreSQL's parameters stand in a list."""
    found: list[str | int] = []
    for key in path:
        step: str | int = key
        if isinstance(tree, list):
            keys = [str(one.get("key")).lower() if isinstance(one, dict) else "" for one in tree]
            if key not in keys:
                return None
            step = keys.index(str(key))
        elif not isinstance(tree, Mapping) or key not in tree:
            return None
        tree = tree[step]
        found.append(step)
    return tuple(found)


def _from_target(target: str, setting: Setting) -> bool:
    tree: Tree = TARGETS.get(target) if target in TARGETS else calmest(LEAST_TTL)
    for key in setting.cluster:
        if not isinstance(tree, Mapping) or key not in tree:
            return False
        tree = tree[key]
    return True
