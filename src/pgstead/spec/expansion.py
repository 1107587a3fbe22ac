"""A cluster to the modules, passwords and authority that it stands for.

Pure and deterministic: members are numbered from 1, so growing and shrinking leave the
other members' names as they are. Values that better a module's own default are written out.
"""

from __future__ import annotations

from functools import partial

from pgstead.spec.cluster import Cluster, LoadBalancer
from pgstead.spec.guests import Guests
from pgstead.spec.models import Setting
from pgstead.spec.settings import CertificateAuthority, Password, Platform, Sentinel
from pgstead.spec.source import Tree, TreePath
from pgstead.spec.timings import BalancerTcpTimings, Timings, WatchdogTimings

PASSWORDS = ("superuser", "replication", "rewind", "application", "etcd-root", "etcd-patroni")
NAMESPACE = "/service/"
ETCD_USER = "patroni"
SENTINEL = "sentinel"
SENTINEL_PASSWORD = "etcd-sentinel"  # noqa: S105 - a name
DEFAULT_LAG = 1_048_576


def is_watched(cluster: Cluster, sentinel: Sentinel) -> bool:
    """Whether a sentinel may watch it: it takes another member that can lead."""
    return sentinel.enabled and cluster.postgres.members > 1


def modules_of(
    cluster: Cluster, stack: str, platform: Platform, *, watched: bool
) -> dict[str, dict[str, Tree]]:
    """The modules of a cluster in the stack of that name, by key, in the order of their start."""
    guests = Guests(cluster, platform)
    etcd = partial(_etcd, cluster, stack, guests, watched=watched)
    return {
        **{name: etcd(name) for name in etcd_names(cluster)},
        **{name: _patroni(cluster, stack, name, guests) for name in postgres_names(cluster)},
        **{name: _balancer(cluster, stack, name, guests) for name in balancer_names(cluster)},
    }


def aliases_of(cluster: Cluster) -> dict[TreePath, TreePath]:
    """Where each module's path comes from: the part of the cluster that it is a member of."""
    parts = {
        "etcd": etcd_names(cluster),
        "postgres": postgres_names(cluster),
        "load_balancer": balancer_names(cluster),
    }
    aliases: dict[TreePath, TreePath] = {("modules",): ("cluster",)}
    for part, names in parts.items():
        for name in names:
            aliases["modules", name] = ("cluster", part)
            aliases["modules", name, part] = ("cluster", part)
    return aliases


def etcd_names(cluster: Cluster) -> list[str]:
    """`etcd-1`, ..."""
    return _names("etcd", cluster.etcd.members)


def postgres_names(cluster: Cluster) -> list[str]:
    """`postgres-1`, ..."""
    return _names("postgres", cluster.postgres.members)


def balancer_names(cluster: Cluster) -> list[str]:
    """`load-balancer-1`, ..."""
    return _names("load-balancer", cluster.load_balancer.members)


def _names(kind: str, members: int) -> list[str]:
    return [f"{kind}-{number}" for number in range(1, members + 1)]


def _password(name: str) -> str:
    return f"${{passwords.{name}}}"


def _output(module: str, output: str) -> str:
    return f"${{modules.{module}.{output}}}"


def _addresses(names: list[str]) -> list[Tree]:
    return [{"name": name, "ip": _output(name, "ip")} for name in names]


def _etcd(
    cluster: Cluster, stack: str, guests: Guests, name: str, *, watched: bool
) -> dict[str, Tree]:
    etcd, timings = cluster.etcd, cluster.timings.etcd
    names = etcd_names(cluster)
    return {
        "source": "etcd-server",
        "name": name,
        "ca": stack,
        **guests.etcd(name),
        "etcd": {
            "auto_compaction_mode": etcd.auto_compaction_mode,
            "auto_compaction_retention": _retention(etcd.auto_compaction_retention),
            "space_quota": etcd.space_quota,
            "grpc_gateway_enabled": True,
            "client_cert_auth": True,
            "heartbeat_interval": timings.heartbeat_interval,
            "election_timeout": timings.election_timeout,
        },
        "authentication_bootstrap": _authentication(
            stack, bootstrap=name == names[0], watched=watched
        ),
        "cluster": {
            "is_initializing": True,
            "initial_token": stack,
            "initial_members": _addresses(names),
        },
    }


def _authentication(stack: str, *, bootstrap: bool, watched: bool) -> dict[str, Tree]:
    access: dict[str, Tree] = {
        "bootstrap": bootstrap,
        "root_password": _password("etcd-root"),
    }
    if bootstrap:
        user = {"name": ETCD_USER, "password": _password("etcd-patroni")}
        patroni = {**user, "prefixes": [f"{NAMESPACE}{stack}/"]}
        access["users"] = [patroni, _sentinel(stack)] if watched else [patroni]
    return access


def _sentinel(stack: str) -> dict[str, Tree]:
    """The sentinel's user: it reads what Patroni writes, and may delete the leader's key."""
    return {
        "name": SENTINEL,
        "password": _password(SENTINEL_PASSWORD),
        "prefixes": [f"/pgstead/sentinel/{stack}/"],
        "read_prefixes": [f"{NAMESPACE}{stack}/"],
        "write_keys": [f"{NAMESPACE}{stack}/leader"],
    }


def _patroni(cluster: Cluster, stack: str, name: str, guests: Guests) -> dict[str, Tree]:
    balancers = [_output(one, "ip") for one in balancer_names(cluster)]
    return {
        "source": "patroni-server",
        "name": name,
        "ca": stack,
        **guests.postgres(name),
        "certificate_names": [*balancers, *cluster.postgres.names],
        "postgres": _postgres(cluster),
        "etcd": {
            "endpoints": [_output(one, "endpoint") for one in etcd_names(cluster)],
            "username": ETCD_USER,
            "password": _password("etcd-patroni"),
        },
        "patroni": {**_patroni_settings(cluster, stack, name), **guests.patroni()},
    }


def _postgres(cluster: Cluster) -> dict[str, Tree]:
    postgres = cluster.postgres
    settings: dict[str, Setting] = {**parameters_of(cluster), **postgres.parameters}
    tree: dict[str, Tree] = {"version": postgres.version} if postgres.version else {}
    tree |= {
        "params": [{"key": key, "value": _guc(value)} for key, value in settings.items()],
        "superuser_password": _password("superuser"),
        "replicator_password": _password("replication"),
        "rewind_password": _password("rewind"),
        "application": {
            **postgres.application.model_dump(),
            "password": _password("application"),
        },
    }
    if client := cluster.timings.client.model_dump(exclude_none=True):
        tree["client"] = client
    for key in ("allowed_networks", "pg_hba"):
        lines = getattr(postgres, key)
        if lines is not None:
            tree[key] = list(lines)
    return tree


def _guc(value: Setting) -> str:
    """A parameter's value as PostgreSQL writes it."""
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def parameters_of(cluster: Cluster) -> dict[str, Setting]:
    """The PostgreSQL parameters that the cluster's timings stand for."""
    timings = cluster.timings
    return {
        "tcp_keepalives_idle": timings.tcp.keepalives_idle,
        "tcp_keepalives_interval": timings.tcp.keepalives_interval,
        "tcp_keepalives_count": timings.tcp.keepalives_count,
        "tcp_user_timeout": timings.tcp.user_timeout,
        "wal_sender_timeout": _postgres_time(timings.wal_sender_timeout),
        "wal_receiver_timeout": _postgres_time(timings.wal_receiver_timeout),
        "wal_retrieve_retry_interval": _postgres_time(timings.wal_retrieve_retry_interval),
    }


def _postgres_time(duration: str) -> str:
    """PostgreSQL writes a minute `min`; the other units are the same."""
    return f"{duration[:-1]}min" if duration.endswith("m") else duration


def _retention(kept: str | int) -> str:
    """Etcd reads Go's time spans, which know no days."""
    text = str(kept)
    return f"{int(text[:-1]) * 24}h" if text[:-1].isdigit() and text.endswith("d") else text


def _patroni_settings(cluster: Cluster, stack: str, name: str) -> dict[str, Tree]:
    timings = cluster.timings
    return {
        "scope": stack,
        "namespace": NAMESPACE,
        "name": name,
        "ttl": timings.ttl,
        "loop_wait": timings.loop_wait,
        "retry_timeout": timings.retry_timeout,
        "master_start_timeout": timings.primary_start_timeout,
        "master_stop_timeout": timings.primary_stop_timeout,
        "failsafe_mode": timings.failsafe_mode,
        **_watchdog(timings),
        "use_pg_rewind": cluster.postgres.use_pg_rewind,
        **_replication(cluster),
        "bootstrap_without_sync": True,
    }


def _watchdog(timings: Timings) -> dict[str, Tree]:
    """What differs from the module's own."""
    ours, given = WatchdogTimings(), timings.watchdog
    found: dict[str, Tree] = {}
    if given.mode != ours.mode:
        found["watchdog_mode"] = given.mode
    if given.safety_margin != ours.safety_margin:
        found["watchdog_safety_margin"] = given.safety_margin
    return found


def _replication(cluster: Cluster) -> dict[str, Tree]:
    postgres = cluster.postgres
    synchronous = postgres.replication
    if synchronous is None:
        lag = postgres.maximum_lag_on_failover
        lag = DEFAULT_LAG if lag is None else lag
        return {"is_synchronous": False, "asynchronous_settings": {"maximum_lag_on_failover": lag}}
    return {
        "is_synchronous": True,
        "synchronous_settings": {
            "strict": synchronous.strict,
            "synchronous_node_count": synchronous.node_count,
            "mode": synchronous.mode,
        },
    }


def _balancer(cluster: Cluster, stack: str, name: str, guests: Guests) -> dict[str, Tree]:
    return {
        "source": "postgres-load-balancer",
        "name": name,
        "ca": stack,
        **guests.balancer(name),
        "haproxy": {
            "members": _addresses(postgres_names(cluster)),
            **_times(cluster),
            **_endpoints(cluster.load_balancer),
        },
    }


def _times(cluster: Cluster) -> dict[str, Tree]:
    timings = cluster.timings
    checks = timings.checks.model_dump(exclude={"timeout"})
    timeouts = {
        "connect": timings.connect,
        "check": timings.checks.timeout,
        "idle": timings.idle,
    }
    times: dict[str, Tree] = {"timeouts": timeouts, "checks": checks}
    if timings.balancer_tcp != BalancerTcpTimings():
        times["tcp"] = timings.balancer_tcp.model_dump()
    return times


def _endpoints(balancer: LoadBalancer) -> dict[str, Tree]:
    return {
        "max_connections": balancer.max_connections,
        "read_only": balancer.read_only.model_dump(exclude_none=True),
        "api": balancer.api.model_dump(),
        "statistics": balancer.statistics.model_dump(),
    }


def with_passwords(
    given: dict[str, Password], generated: Password, *, watched: bool
) -> dict[str, Password]:
    """The passwords of a cluster, then those that only the stack file names."""
    names = (*PASSWORDS, SENTINEL_PASSWORD) if watched else PASSWORDS
    ours = {name: given.get(name, generated) for name in names}
    return ours | {name: value for name, value in given.items() if name not in ours}


def with_authority(
    given: dict[str, CertificateAuthority], stack: str
) -> dict[str, CertificateAuthority]:
    """The authority of a cluster, which has the stack's name, and those that are given."""
    return {stack: CertificateAuthority(), **given}
