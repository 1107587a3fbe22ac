"""Each setting: where a cluster and a module write it, in which unit, and why it matters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pgstead.timings.steps import ETCD, HAPROXY, PATRONI

POSTGRESQL = "https://www.postgresql.org/docs/current/runtime-config-connection.html"
REPLICATION = "https://www.postgresql.org/docs/current/runtime-config-replication.html"
LIBPQ = "https://www.postgresql.org/docs/current/libpq-connect.html"
WATCHDOG = "https://patroni.readthedocs.io/en/latest/watchdog.html"

MODULES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "patroni": ("patroni",),
        "server": ("postgres", "params"),
        "etcd": ("etcd",),
        "balancer": ("haproxy",),
        "client": ("postgres", "client"),
    }
)
"""Where a part of the settings stands among the variables of its module."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting; `cluster` and `module` are paths below `cluster.timings` and the part's place.

    `module` is empty for what no module says. `unit` is that of `settings`: `s`, or empty for
    what is no time.
    """

    key: str
    cluster: tuple[str, ...]
    module: tuple[str, ...]
    unit: str
    why: str
    source: str

    @property
    def part(self) -> str:
        """The part of the settings that it belongs to."""
        return self.key.partition(".")[0]

    @property
    def variable(self) -> str:
        """Its name among the variables of its module, dotted."""
        return ".".join((*MODULES[self.part], *self.module))

    @property
    def path(self) -> tuple[str, ...]:
        """Its path in a stack file that has a cluster."""
        return ("cluster", "timings", *self.cluster)


def _patroni(name: str, why: str, *, module: str | None = None, unit: str = "s") -> Setting:
    return Setting(f"patroni.{name}", (name,), (module or name,), unit, why, PATRONI)


def _watchdog(name: str, place: str, module: str, unit: str, why: str) -> Setting:
    return Setting(f"patroni.{name}", ("watchdog", place), (module,), unit, why, WATCHDOG)


def _etcd(name: str, why: str) -> Setting:
    return Setting(f"etcd.{name}", ("etcd", name), (name,), "s", why, ETCD)


def _check(name: str, why: str, *, place: str | None = None, unit: str = "s") -> Setting:
    path = place or name
    return Setting(f"balancer.{name}", ("checks", path), ("checks", path), unit, why, HAPROXY)


def _timeout(name: str, cluster: tuple[str, ...], module: str, why: str) -> Setting:
    return Setting(f"balancer.{name}", cluster, ("timeouts", module), "s", why, HAPROXY)


def _wal(name: str, why: str) -> Setting:
    return Setting(f"server.{name}", (name,), (name,), "s", why, REPLICATION)


_TCP = (
    ("keepalives_idle", "keepalives_idle", "s", "silence before the kernel asks whether {} lives"),
    ("keepalives_interval", "keepalives_interval", "s", "pause between two such questions to {}"),
    ("keepalives_count", "keepalives_count", "", "unanswered ones until {} is given up"),
    ("tcp_user_timeout", "user_timeout", "s", "how long data to {} may stay unacknowledged"),
)


def _tcp(part: str, section: str, variable: str, *, whom: str, source: str) -> tuple[Setting, ...]:
    """The kernel's patience; `variable` is a module's name for each, e.g. `tcp_{}`."""
    return tuple(
        Setting(
            f"{part}.{name}",
            (section, place),
            tuple(variable.format(place).split(".")),
            unit,
            why.format(whom),
            source,
        )
        for name, place, unit, why in _TCP
    )


CATALOGUE: tuple[Setting, ...] = (
    _patroni("ttl", "a dead leader's lease is waited for; Patroni takes no less than 20"),
    _patroni("loop_wait", "the pause between two looks: how late a crash is seen"),
    _patroni("retry_timeout", "how long etcd or PostgreSQL may fail before the leader steps down"),
    _patroni(
        "primary_start_timeout",
        "how long a crashed primary may take to start; 0 hands over at once",
        module="master_start_timeout",
    ),
    _patroni(
        "primary_stop_timeout",
        "how long a synchronous primary may take to stop before it is killed; 0 is no limit",
        module="master_stop_timeout",
    ),
    _patroni(
        "failsafe_mode", "whether writes go on without etcd while all members answer", unit=""
    ),
    _watchdog(
        "watchdog_mode",
        "mode",
        "watchdog_mode",
        "",
        "whether a machine whose Patroni hangs is reset before another leads; not on local",
    ),
    _watchdog(
        "safety_margin",
        "safety_margin",
        "watchdog_safety_margin",
        "s",
        "how long before the lease's end that is; -1 is half of ttl",
    ),
    _etcd("heartbeat_interval", "how often etcd's leader shows that it lives"),
    _etcd("election_timeout", "how long etcd waits for it before it elects another"),
    Setting(
        "etcd.round_trip",
        ("etcd", "round_trip"),
        (),
        "s",
        "between etcd's members; an election timeout is at least ten of them",
        ETCD,
    ),
    _check("inter", "the pause between two checks of a member that is up"),
    _check("fastinter", "the same while its state is changing"),
    _check("downinter", "the same while it is down: how late a new primary is seen"),
    _check("fall", "failed checks until a member gets no sessions", unit=""),
    _check("rise", "passed checks until it gets them again", unit=""),
    _timeout("check_timeout", ("checks", "timeout"), "check", "how long one check may take"),
    _timeout("connect", ("connect",), "connect", "how long a connection to a member may take"),
    _timeout("idle", ("idle",), "idle", "how long a session may be silent before it is cut"),
    _check(
        "shutdown_sessions",
        "whether sessions on a member that goes down are cut, so that clients look for another",
        place="shutdown_sessions_on_marked_down",
        unit="",
    ),
    *_tcp("balancer", "balancer_tcp", "tcp.{}", whom="a client or member", source=HAPROXY),
    *_tcp("server", "tcp", "tcp_{}", whom="a client or standby", source=POSTGRESQL),
    _wal("wal_sender_timeout", "how long the primary waits for a silent standby"),
    _wal("wal_receiver_timeout", "how long a standby waits for a silent primary"),
    _wal("wal_retrieve_retry_interval", "the pause before a standby tries to stream again"),
    Setting(
        "client.connect_timeout",
        ("client", "connect_timeout"),
        ("connect_timeout",),
        "s",
        "how long a client tries each address of its DSN",
        LIBPQ,
    ),
    *_tcp("client", "client", "{}", whom="the server", source=LIBPQ),
)

BY_KEY: Mapping[str, Setting] = MappingProxyType({one.key: one for one in CATALOGUE})

VARIABLES: Mapping[str, str] = MappingProxyType({one.key: one.variable for one in CATALOGUE})
"""How each setting is called among the variables of its module."""
