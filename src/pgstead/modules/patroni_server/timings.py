"""The variables as the plain settings that `pgstead.timings` works on."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pgstead.modules.patroni_server.variables import Client, Patroni, Postgres
from pgstead.timings import settings as plain

__all__ = ["client_timings", "patroni_timings", "replication", "server_timings"]

_TIME = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(us|ms|s|min|h|d)?\s*")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}

_DEFAULTS: Mapping[str, float] = {
    "tcp_keepalives_idle": 7200,
    "tcp_keepalives_interval": 75,
    "tcp_keepalives_count": 9,
    "tcp_user_timeout": 0,
    "wal_sender_timeout": 60,
    "wal_receiver_timeout": 60,
    "wal_retrieve_retry_interval": 5,
}
"""PostgreSQL's own, in seconds (its manual, 20.3.2 and 20.6); keepalives are the kernel's."""

_UNITS = {"tcp_keepalives_idle": "s", "tcp_keepalives_interval": "s"}
"""Of a number without a unit; milliseconds where nothing else is said."""


def patroni_timings(patroni: Patroni) -> plain.Patroni:
    """Patroni's own."""
    off = patroni.watchdog == "off"
    return plain.Patroni(
        ttl=patroni.ttl,
        loop_wait=patroni.loop_wait,
        retry_timeout=patroni.retry_timeout,
        primary_start_timeout=patroni.master_start_timeout,
        primary_stop_timeout=patroni.master_stop_timeout,
        failsafe_mode=patroni.failsafe_mode,
        watchdog_mode="off" if off else patroni.watchdog_mode,
        safety_margin=patroni.watchdog_safety_margin,
    )


def replication(patroni: Patroni, members: int) -> plain.Replication:
    """Who confirms a write in a cluster of so many members."""
    settings = patroni.synchronous_settings
    return plain.Replication(
        members=members,
        synchronous=patroni.is_synchronous,
        strict=patroni.is_synchronous and settings.strict,
        node_count=settings.synchronous_node_count if patroni.is_synchronous else 0,
        quorum=patroni.is_synchronous and settings.mode == "quorum",
    )


def server_timings(postgres: Postgres) -> plain.Server:
    """PostgreSQL's own, among its parameters."""
    given = {one.key.lower(): one.value for one in postgres.params}
    found = {name: _seconds(name, given.get(name)) for name in _DEFAULTS}
    return plain.Server(
        keepalives_idle=found["tcp_keepalives_idle"],
        keepalives_interval=found["tcp_keepalives_interval"],
        keepalives_count=int(found["tcp_keepalives_count"]),
        tcp_user_timeout=found["tcp_user_timeout"],
        wal_sender_timeout=found["wal_sender_timeout"],
        wal_receiver_timeout=found["wal_receiver_timeout"],
        wal_retrieve_retry_interval=found["wal_retrieve_retry_interval"],
    )


def _seconds(name: str, value: object) -> float:
    """A parameter in seconds; what PostgreSQL would refuse counts as not given.

    0 of a keepalive is the kernel's own, which is the default.
    """
    text = _TIME.fullmatch(str(value)) if value is not None else None
    if text is None:
        return _DEFAULTS[name]
    number = float(text[1])
    if name == "tcp_keepalives_count":
        return number or _DEFAULTS[name]
    seconds = number * _SECONDS[text[2] or _UNITS.get(name, "ms")]
    return seconds or (_DEFAULTS[name] if name in _UNITS else 0.0)


def client_timings(client: Client) -> plain.Client:
    """What clients are given along."""
    timeout = client.user_timeout
    return plain.Client(
        connect_timeout=client.connect_timeout,
        keepalives_idle=client.keepalives_idle,
        keepalives_interval=client.keepalives_interval,
        keepalives_count=client.keepalives_count,
        tcp_user_timeout=None if timeout is None else timeout / 1000,
    )
