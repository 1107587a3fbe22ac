"""What Patroni and the sentinels wrote into etcd, parsed. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pgstead.clients.etcd import KeyValue
from pgstead.clusters.settings import text_of
from pgstead.errors import ClientError
from pgstead.sentinel.observation import Dcs, LeaderKey, Lease, Mode, Sync

FENCED = "fenced/"


def parse(patroni: Mapping[str, KeyValue], own: Mapping[str, KeyValue]) -> Dcs:
    """From the keys of both, without their prefixes.

    Raises `ClientError` if the dynamic configuration is not there or cannot be read: without it
    nobody knows whether Patroni is paused.
    """
    config = _document(patroni, "config")
    if not isinstance(config, Mapping):
        raise ClientError("Patroni's dynamic configuration in etcd cannot be read")
    return Dcs(
        leader=_leader(patroni.get("leader")),
        sync=_sync(_document(patroni, "sync")),
        mode=_mode(config),
        paused=text_of(config.get("pause")) == "on",
        failover=_is_asked_for(patroni),
        failsafe=_failsafe(patroni) if text_of(config.get("failsafe_mode")) == "on" else None,
        timeline=_timeline(patroni),
        loop_wait=_whole(config.get("loop_wait"), 10),
        acting=_value(own, "acting"),
        resting="resting" in own,
        fenced={
            name.removeprefix(FENCED): one.value
            for name, one in own.items()
            if name.startswith(FENCED)
        },
    )


def with_lease(dcs: Dcs, lease: Lease | None) -> Dcs:
    """The same with the time of the leader's lease."""
    return replace(dcs, lease=lease)


def _leader(found: KeyValue | None) -> LeaderKey | None:
    return None if found is None else LeaderKey(found.value, found.revision, found.lease)


def _sync(said: Any) -> Sync | None:
    """As `patroni.dcs.SyncState`: empty without a leader, or with a quorum that is no number."""
    if not isinstance(said, Mapping) or not said.get("leader"):
        return None
    quorum = _whole(said.get("quorum") or 0, -1)
    names = str(said.get("sync_standby") or "").split(",")
    standbys = tuple(name.strip() for name in names if name.strip())
    return Sync(str(said["leader"]), standbys, quorum) if quorum >= 0 else None


def _is_asked_for(patroni: Mapping[str, KeyValue]) -> bool:
    """Whether a switchover or failover is: Patroni leaves an empty document behind it."""
    said = _document(patroni, "failover")
    if isinstance(said, Mapping):
        return bool(said.get("leader") or said.get("member"))
    return bool(_value(patroni, "failover").strip())


def _mode(config: Mapping[str, Any]) -> Mode:
    text = text_of(config.get("synchronous_mode"))
    return Mode(text) if text in ("on", "quorum") else Mode.ASYNCHRONOUS


def _failsafe(patroni: Mapping[str, KeyValue]) -> frozenset[str] | None:
    """Who takes part; what cannot be read is not looked at by Patroni either."""
    said = _document(patroni, "failsafe")
    return frozenset(map(str, said)) if isinstance(said, Mapping) else None


def _timeline(patroni: Mapping[str, KeyValue]) -> int:
    """The last timeline: one more than the last that ended."""
    said = _document(patroni, "history")
    if not isinstance(said, list) or not said or not isinstance(said[-1], list):
        return 0
    return _whole(said[-1][0], -1) + 1


def _document(among: Mapping[str, KeyValue], name: str) -> Any:
    try:
        return json.loads(_value(among, name))
    except ValueError:
        return None


def _value(among: Mapping[str, KeyValue], name: str) -> str:
    return among[name].value if name in among else ""


def _whole(value: Any, otherwise: int) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return otherwise
