"""Clusters that cannot work, with the reason; and those that work but carry a risk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pgstead.spec.cluster import Cluster, LoadBalancer, Postgres
from pgstead.spec.source import TreePath
from pgstead.spec.timing_settings import settings_of
from pgstead.spec.timing_target import seconds_of
from pgstead.timings.catalogue import BY_KEY
from pgstead.timings.rules import unsafe
from pgstead.timings.settings import Settings
from pgstead.timings.worst_case import outage_of_a_dead_leader

Finding = tuple[TreePath, str]
"""The field, from the cluster down, and what is the matter with it."""

PRIMARY_PORT = 5432

_PATRONI = "is Patroni's"
_TLS = "is pgstead's: server certificates come from the stack's certificate authority"
_PLACE = "is pgstead's: where a server listens and keeps its files is the platform's business"

MANAGED = {
    "archive_cleanup_command": "must not be set: Patroni decides what a standby replays",
    "cluster_name": f"{_PATRONI}: it is the member's name",
    "config_file": _PLACE,
    "data_directory": _PLACE,
    "external_pid_file": _PLACE,
    "hba_file": "is pgstead's: use cluster.postgres.pg_hba",
    "hot_standby": f"{_PATRONI}: standbys always answer reads",
    "ident_file": _PLACE,
    "listen_addresses": _PLACE,
    "log_destination": "is pgstead's: servers log to standard error, and the platform keeps it",
    "log_directory": "is pgstead's: see `pgstead logs`",
    "log_filename": "is pgstead's: see `pgstead logs`",
    "logging_collector": "is pgstead's: servers log to standard error, see `pgstead logs`",
    "password_encryption": "is pgstead's: passwords are kept as scram-sha-256 only",
    "port": f"is pgstead's: servers listen on {PRIMARY_PORT}",
    "primary_conninfo": f"{_PATRONI}: it follows the leader",
    "primary_slot_name": f"{_PATRONI}: it makes a slot for each member",
    "promote_trigger_file": f"{_PATRONI}: use `pgstead switchover`",
    "synchronous_standby_names": "is Patroni's: use cluster.postgres.synchronous",
    "tcp_keepalives_count": "is pgstead's: use cluster.timings.tcp.keepalives_count",
    "tcp_keepalives_idle": "is pgstead's: use cluster.timings.tcp.keepalives_idle",
    "tcp_keepalives_interval": "is pgstead's: use cluster.timings.tcp.keepalives_interval",
    "tcp_user_timeout": "is pgstead's: use cluster.timings.tcp.user_timeout",
    "unix_socket_directories": _PLACE,
    "restore_command": f"{_PATRONI}: it decides what a standby replays",
    "wal_log_hints": f"{_PATRONI}: pg_rewind needs it",
    "wal_receiver_timeout": "is pgstead's: use cluster.timings.wal_receiver_timeout",
    "wal_retrieve_retry_interval": "is pgstead's: use cluster.timings.wal_retrieve_retry_interval",
    "wal_sender_timeout": "is pgstead's: use cluster.timings.wal_sender_timeout",
}
"""PostgreSQL parameters that a cluster does not take, and why."""

_MANAGED_PREFIXES = {
    "recovery_": "is Patroni's: it decides what a standby replays",
    "ssl": _TLS,
}

_LEAST = {
    "max_connections": 25,
    "max_locks_per_transaction": 32,
    "max_replication_slots": 4,
    "max_wal_senders": 3,
    "max_worker_processes": 2,
}
"""Below these Patroni takes its own default instead, silently (its `CMDLINE_OPTIONS`)."""

_ROLES = ("postgres", "replicator", "rewind")
_DATABASES = ("postgres", "template0", "template1")
_OFF = ("off", "false", "no", "0")


def refusals(cluster: Cluster) -> Iterator[Finding]:
    """What makes the cluster impossible or unsafe; nothing where it is neither."""
    yield from _under("postgres", _replication(cluster.postgres))
    yield from _under("postgres", _parameters(cluster.postgres))
    yield from _under("postgres", _application(cluster.postgres))
    yield from _under("timings", _timings(cluster))
    yield from _under("etcd", _compaction(cluster))
    yield from _under("load_balancer", _ports(cluster.load_balancer))


def risks(cluster: Cluster) -> Iterator[Finding]:
    """What works, but is worth a warning."""
    yield from _under("etcd", _few_etcd(cluster.etcd.members))
    yield from _under("postgres", _few_postgres(cluster.postgres))
    if str(cluster.postgres.parameters.get("fsync")).lower() in _OFF:
        words = "with fsync off a crash of a machine can destroy its data"
        yield ("postgres", "parameters", "fsync"), words
    if cluster.postgres.pg_hba is not None and cluster.postgres.allowed_networks is not None:
        words = "has no effect while pg_hba is given"
        yield ("postgres", "allowed_networks"), words
    if cluster.postgres.replication and cluster.postgres.maximum_lag_on_failover is not None:
        words = "has no effect while replication is synchronous"
        yield ("postgres", "maximum_lag_on_failover"), words


def _under(key: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    return (((key, *path), words) for path, words in findings)


def _replication(postgres: Postgres) -> Iterator[Finding]:
    synchronous = postgres.replication
    standbys = postgres.members - 1
    if synchronous is None:
        return
    if standbys == 0 and synchronous.strict:
        yield (
            ("synchronous",),
            (
                "strict synchronous replication needs a standby, and 1 member has none: no write "
                "would ever be confirmed; use more members, or synchronous: false"
            ),
        )
    elif synchronous.node_count > standbys:
        yield (
            ("synchronous", "node_count"),
            (
                f"{synchronous.node_count} standbys cannot confirm a write where "
                f"{postgres.members} members have {standbys}; at most {standbys}"
            ),
        )


def _parameters(postgres: Postgres) -> Iterator[Finding]:
    seen: set[str] = set()
    for name, value in postgres.parameters.items():
        lower = name.lower()
        path = ("parameters", name)
        reason = _managed(lower) or _unsafe(lower, value, postgres)
        if lower in seen:
            yield path, "this parameter was given before, in other letters"
        elif reason:
            yield path, reason
        seen.add(lower)


def _managed(name: str) -> str | None:
    if not all(character.isalnum() or character in "_." for character in name) or not name:
        return "is not the name of a PostgreSQL parameter"
    prefixed = (why for prefix, why in _MANAGED_PREFIXES.items() if name.startswith(prefix))
    return MANAGED.get(name) or next(prefixed, None)


def _unsafe(name: str, value: object, postgres: Postgres) -> str | None:
    text = str(value).lower()
    if name == "wal_level" and text not in ("replica", "logical"):
        return "must be replica or logical: standbys need them"
    if name == "synchronous_commit" and text in ("local", *_OFF) and postgres.replication:
        return f"{text} would confirm writes before a standby has them; see synchronous"
    least = _LEAST.get(name)
    if least and isinstance(value, int) and value < least:
        return f"must be at least {least}, given {value}: below that Patroni uses its own default"
    return None


def _application(postgres: Postgres) -> Iterator[Finding]:
    role, database = postgres.application.role, postgres.application.database
    if role in _ROLES or role.startswith("pg_"):
        yield ("application", "role"), f"the role {role} is not an application's"
    if database in _DATABASES:
        yield ("application", "database"), f"the database {database} is PostgreSQL's own"


def _timings(cluster: Cluster) -> Iterator[Finding]:
    settings = settings_of(cluster)
    for found in unsafe(settings):
        yield BY_KEY[found.key].cluster, found.refusal
    yield from _target(cluster, settings)


def _target(cluster: Cluster, settings: Settings) -> Iterator[Finding]:
    wanted, needed = seconds_of(cluster.timings.target), outage_of_a_dead_leader(settings)
    if wanted is None or needed <= wanted:
        return
    reason = (
        f"with these timings a dead leader's machine costs up to {needed:g} s; give more, or have"
        " `pgstead sentinel` fence"
    )
    alone = "there is no standby that could take over"
    words = alone if cluster.postgres.members == 1 else reason
    yield ("target",), f"{wanted:g} s cannot be kept: {words}"


def _compaction(cluster: Cluster) -> Iterator[Finding]:
    etcd = cluster.etcd
    counts = isinstance(etcd.auto_compaction_retention, int)
    if etcd.auto_compaction_mode == "revision" and not counts:
        yield ("auto_compaction_retention",), "must be a number of revisions, e.g. 1000"
    if etcd.auto_compaction_mode == "periodic" and counts:
        yield ("auto_compaction_retention",), "must be a time span, e.g. 1h"


def _ports(balancer: LoadBalancer) -> Iterator[Finding]:
    taken = {PRIMARY_PORT: "the primary's"}
    for key in ("read_only", "api", "statistics"):
        part = getattr(balancer, key)
        if not part.enabled:
            continue
        if part.port in taken:
            yield (key, "port"), f"{part.port} is {taken[part.port]} port already"
        taken.setdefault(part.port, f"{key}'s")


def _few_etcd(members: int) -> Iterator[Finding]:
    if members == 1:
        yield ("members",), "1 etcd member: the cluster stands still while it is away; best 3"
    elif members % 2 == 0:
        yield (
            ("members",),
            (
                f"{members} etcd members bear the loss of no more than {members - 1} do, and are "
                f"more likely to lose one; best {members + 1}"
            ),
        )


def _few_postgres(postgres: Postgres) -> Iterator[Finding]:
    if postgres.members == 1:
        yield ("members",), "1 PostgreSQL member: nothing takes over, and its data has no copy"
        return
    synchronous = postgres.replication
    if synchronous and synchronous.strict and synchronous.node_count == postgres.members - 1:
        yield (
            ("synchronous", "node_count"),
            (
                f"all {postgres.members - 1} standbys must confirm a write: writes wait while any "
                "one of them is away"
            ),
        )
