"""Whole sets of timings by name, and the calmest set for an outage in seconds.

A set is what it changes in the timings' own defaults, in the form of a stack file; those
defaults are the fastest safe ones, so that `fast` changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_SERVERS_OWN = {
    "keepalives_idle": 7200,
    "keepalives_interval": 75,
    "keepalives_count": 9,
    "user_timeout": 0,
}
"""The kernel's own keepalives (its ip-sysctl documentation)."""

_PATRONI: Mapping[str, Any] = {
    "ttl": 30,
    "loop_wait": 10,
    "retry_timeout": 10,
    "primary_start_timeout": 300,
    "failsafe_mode": False,
    "etcd": {"heartbeat_interval": 100, "election_timeout": 1000},
    "checks": {
        "inter": "3s",
        "fastinter": "3s",
        "downinter": "3s",
        "fall": 3,
        "rise": 2,
        "timeout": "5s",
    },
    "connect": "4s",
    "idle": "30m",
    "tcp": _SERVERS_OWN,
    "wal_sender_timeout": "60s",
    "wal_receiver_timeout": "60s",
    "wal_retrieve_retry_interval": "5s",
}
"""What Patroni, etcd and PostgreSQL do where nobody says anything, and the HAProxy
configuration that Patroni brings along (extras/confd/templates/haproxy.tmpl)."""

_SEEDS: Mapping[str, Any] = {
    "ttl": 60,
    "loop_wait": 5,
    "retry_timeout": 10,
    "primary_start_timeout": 300,
    "primary_stop_timeout": 300,
    "failsafe_mode": False,
    "etcd": {"heartbeat_interval": 100, "election_timeout": 1000},
    "checks": {
        "inter": "1s",
        "fastinter": "1s",
        "downinter": "1s",
        "fall": 1,
        "rise": 1,
        "timeout": "15s",
        "shutdown_sessions_on_marked_down": False,
    },
    "connect": "15s",
    "tcp": _SERVERS_OWN,
    "wal_sender_timeout": "60s",
    "wal_receiver_timeout": "60s",
    "wal_retrieve_retry_interval": "5s",
}
"""The Terraform modules' own example; but for its idle timeout of 60 s, which kills pools."""

_SLOW: Mapping[str, Any] = {
    "ttl": 60,
    "loop_wait": 5,
    "retry_timeout": 10,
    "primary_start_timeout": 60,
    "etcd": {"heartbeat_interval": 500, "election_timeout": 5000},
    "checks": {"inter": "3s", "fastinter": "1s", "downinter": "1s", "timeout": "10s"},
    "connect": "10s",
    "wal_sender_timeout": "30s",
    "wal_receiver_timeout": "30s",
}
"""For machines that stall for seconds: emulated, overcommitted, on slow shared disks."""

TARGETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"fast": {}, "patroni": _PATRONI, "seeds": _SEEDS, "slow": _SLOW}
)

LEAST_TTL = 20
LONGEST_TTL = 300
_LOOP_WAITS = 10


def calmest(ttl: int) -> dict[str, Any]:
    """Patroni's timings for a lease of so many seconds: the longer, the rarer a false failover.

    One pause in ten parts of the lease; of the rest, as much for retries as the rule
    ttl >= loop_wait + 2 x retry_timeout leaves, Patroni's own 10 s at most.
    """
    loop_wait = max(1, min(ttl // _LOOP_WAITS - 1, _LOOP_WAITS))
    retry = min(10, (ttl - loop_wait) // 2 - (ttl == LEAST_TTL))
    return {"ttl": ttl, "loop_wait": loop_wait, "retry_timeout": retry}


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base`, with what `over` says instead, section by section."""
    found = {key: dict(one) if isinstance(one, Mapping) else one for key, one in base.items()}
    for key, value in over.items():
        below = found.get(key)
        if isinstance(below, dict) and (value is None or isinstance(value, Mapping)):
            found[key] = merged(below, value or {})
        else:
            found[key] = value
    return found
