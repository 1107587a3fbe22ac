"""The timings of one cluster, from whatever they were written in. Times are in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

WatchdogMode = Literal["off", "automatic", "required"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patroni:
    """Patroni's dynamic configuration, and its watchdog: `safety_margin` -1 is half of ttl."""

    ttl: float
    loop_wait: float
    retry_timeout: float
    primary_start_timeout: float
    primary_stop_timeout: float
    failsafe_mode: bool
    watchdog_mode: WatchdogMode
    safety_margin: float

    @property
    def watchdog_timeout(self) -> float:
        """Seconds from the lease's renewal until the watchdog fires (patroni/watchdog/base.py)."""
        return self.ttl // 2 if self.safety_margin == -1 else self.ttl - self.safety_margin


@dataclass(frozen=True, slots=True, kw_only=True)
class Replication:
    """How many members there are, and who confirms a write; no timings, but they count."""

    members: int
    synchronous: bool
    strict: bool
    node_count: int
    quorum: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """PostgreSQL's own; 0 stands for the kernel's, or for never."""

    keepalives_idle: float
    keepalives_interval: float
    keepalives_count: int
    tcp_user_timeout: float
    wal_sender_timeout: float
    wal_receiver_timeout: float
    wal_retrieve_retry_interval: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Etcd:
    """etcd's own; `round_trip` between members is None where nobody said it."""

    members: int
    heartbeat_interval: float
    election_timeout: float
    round_trip: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Balancer:
    """HAProxy's own; `fastinter` and `downinter` are `inter` where they are not given."""

    inter: float
    fastinter: float
    downinter: float
    fall: int
    rise: int
    check_timeout: float
    connect: float
    idle: float
    shutdown_sessions: bool
    keepalives_idle: float
    keepalives_interval: float
    keepalives_count: int
    tcp_user_timeout: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What `pgstead dsn` gives a client along; None is left to libpq and the kernel."""

    connect_timeout: float | None = None
    keepalives_idle: float | None = None
    keepalives_interval: float | None = None
    keepalives_count: int | None = None
    tcp_user_timeout: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All of them. A part that the stack does not have, or cannot know, is None."""

    patroni: Patroni | None = None
    replication: Replication | None = None
    server: Server | None = None
    etcd: Etcd | None = None
    balancer: Balancer | None = None
    client: Client | None = None

    def value(self, key: str) -> object:
        """The setting of that key, `part.name`; None where there is no such part."""
        part, _, name = key.partition(".")
        found = getattr(self, part)
        return None if found is None else getattr(found, name)
