"""Patroni's dynamic configuration: as attributes, and as the patches that change it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pgstead.engine.resource import Value
from pgstead.machine import OnChange
from pgstead.modules.parts.postgresql import MACHINE_PARAMETERS, RESTART_PARAMETERS

PREFIX = "setting:"
PARAMETERS = ("postgresql", "parameters")
NOT_OURS = frozenset({"pause"})
"""Top-level keys that operators set for a while; they are left as they are."""

PRIMARY_FIRST: Mapping[str, int] = {
    "max_connections": 100,
    "max_locks_per_transaction": 64,
    "max_prepared_transactions": 0,
    "max_wal_senders": 10,
    "max_worker_processes": 8,
}
"""A standby cannot run with less of these than its primary; with Patroni's defaults."""

RESTARTS = RESTART_PARAMETERS | MACHINE_PARAMETERS
"""PostgreSQL's parameters of context `postmaster`, versions 13 to 18.

For a plan before any server can be asked; what really waits for a restart, the server says.
"""


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Value]:
    """Nested settings as `{"postgresql.parameters.work_mem": "4MB"}`; lists become JSON."""
    return dict(_flat(settings, prefix))


def _flat(settings: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Value]]:
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if not prefix and key in NOT_OURS:
            continue
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{name}.")
        elif value is not None:
            yield name, value if isinstance(value, str | int | float) else json.dumps(value)


def on_change(name: str) -> OnChange:
    """What it takes to change a flattened setting, as far as can be told without a server."""
    parameter = name.removeprefix(".".join(PARAMETERS) + ".")
    restart = parameter != name and parameter.lower() in RESTARTS
    return OnChange.RESTART if restart else OnChange.RELOAD


def difference(observed: Mapping[str, Any], desired: Mapping[str, Any]) -> dict[str, Any]:
    """The patch that makes `desired` of `observed`; a None removes a key."""
    return _difference(
        {key: value for key, value in observed.items() if key not in NOT_OURS},
        {key: value for key, value in desired.items() if key not in NOT_OURS},
    )


def _difference(observed: Mapping[str, Any], desired: Mapping[str, Any]) -> dict[str, Any]:
    patch: dict[str, Any] = {}
    for key in [*desired, *(key for key in observed if key not in desired)]:
        before, after = observed.get(key), desired.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            inner = _difference(before, after)
            if inner:
                patch[key] = inner
        elif json.dumps(before, sort_keys=True) != json.dumps(after, sort_keys=True):
            patch[key] = after
    return patch


def phases(
    observed: Mapping[str, Any], patch: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The patch in two: what goes standbys first or needs no order, then what is lowered.

    Raising one of `PRIMARY_FIRST` and lowering another at once would leave no order in
    which every standby keeps running.
    """
    changed = parameters(patch)
    now = parameters(observed)
    lowered = {name: value for name, value in changed.items() if _lowers(name, now, value)}
    if not lowered:
        return dict(patch), {}
    rest = {name: value for name, value in changed.items() if name not in lowered}
    return _with_parameters(patch, rest), _with_parameters({}, lowered)


def parameters(settings: Mapping[str, Any]) -> dict[str, Any]:
    """PostgreSQL's parameters in settings, or in a patch."""
    inner: Any = settings
    for key in PARAMETERS:
        inner = (inner or {}).get(key)
    return dict(inner or {})


def _with_parameters(patch: Mapping[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
    outer, inner = PARAMETERS
    postgresql = {k: v for k, v in (patch.get(outer) or {}).items() if k != inner}
    if chosen:
        postgresql[inner] = dict(chosen)
    rest = {key: value for key, value in patch.items() if key != outer}
    return {**rest, **({outer: postgresql} if postgresql else {})}


def _lowers(name: str, now: Mapping[str, Any], value: Any) -> bool:
    if name not in PRIMARY_FIRST:
        return False
    return lowers(name, now.get(name), value)


def lowers(name: str, before: Any, after: Any) -> bool:
    """Whether a parameter that must be lowered on the primary first is lowered."""
    default = PRIMARY_FIRST.get(name)
    if default is None:
        return False
    old, new = _number(before, default), _number(after, default)
    return new < old


def _number(value: Any, default: int) -> int:
    try:
        return default if value is None else int(value)
    except (TypeError, ValueError):
        return default


def text_of(value: Any) -> str:
    """A switch in one spelling, as Patroni understands it: on, off, or what it says."""
    text = str(value or "off").lower()
    return {"true": "on", "yes": "on", "1": "on", "false": "off", "no": "off"}.get(text, text)


def flatten_patch(patch: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """A patch in words: flattened, with `removed` for what goes."""
    words: dict[str, str] = {}
    for key, value in patch.items():
        if isinstance(value, Mapping) and value:
            words |= flatten_patch(value, f"{prefix}{key}.")
        else:
            words[f"{prefix}{key}"] = "removed" if value is None else str(value)
    return words
