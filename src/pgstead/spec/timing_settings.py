"""A cluster's timings as the plain settings that `pgstead.timings` works on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgstead.spec.models import milliseconds
from pgstead.timings import settings as plain

if TYPE_CHECKING:
    from pgstead.spec.cluster import Cluster
    from pgstead.spec.timings import Timings

__all__ = ["settings_of"]


def settings_of(cluster: Cluster) -> plain.Settings:
    """All of a cluster's settings, in seconds.

    What still waits for `${env:...}` is not a number, of which nothing holds: no rule is
    broken by it here, and its module warns.
    """
    timings = cluster.timings
    return plain.Settings(
        patroni=_patroni(cluster),
        replication=_replication(cluster),
        server=_server(timings),
        etcd=plain.Etcd(
            members=cluster.etcd.members,
            heartbeat_interval=timings.etcd.heartbeat_interval / 1000,
            election_timeout=timings.etcd.election_timeout / 1000,
            round_trip=_seconds(timings.etcd.round_trip),
        ),
        balancer=_balancer(timings) if cluster.load_balancer.members else None,
        client=_client(timings),
    )


def _seconds(duration: str) -> float:
    return float("nan") if "${" in duration else milliseconds(duration) / 1000


def _patroni(cluster: Cluster) -> plain.Patroni:
    timings = cluster.timings
    off = cluster.postgres.watchdog == "off"
    return plain.Patroni(
        ttl=timings.ttl,
        loop_wait=timings.loop_wait,
        retry_timeout=timings.retry_timeout,
        primary_start_timeout=timings.primary_start_timeout,
        primary_stop_timeout=timings.primary_stop_timeout,
        failsafe_mode=timings.failsafe_mode,
        watchdog_mode="off" if off else timings.watchdog.mode,
        safety_margin=timings.watchdog.safety_margin,
    )


def _replication(cluster: Cluster) -> plain.Replication:
    given = cluster.postgres.replication
    return plain.Replication(
        members=cluster.postgres.members,
        synchronous=given is not None,
        strict=given is not None and given.strict,
        node_count=0 if given is None else given.node_count,
        quorum=given is not None and given.mode == "quorum",
    )


def _server(timings: Timings) -> plain.Server:
    tcp = timings.tcp
    return plain.Server(
        keepalives_idle=tcp.keepalives_idle,
        keepalives_interval=tcp.keepalives_interval,
        keepalives_count=tcp.keepalives_count,
        tcp_user_timeout=tcp.user_timeout / 1000,
        wal_sender_timeout=_seconds(timings.wal_sender_timeout),
        wal_receiver_timeout=_seconds(timings.wal_receiver_timeout),
        wal_retrieve_retry_interval=_seconds(timings.wal_retrieve_retry_interval),
    )


def _balancer(timings: Timings) -> plain.Balancer:
    checks, tcp = timings.checks, timings.balancer_tcp
    return plain.Balancer(
        inter=_seconds(checks.inter),
        fastinter=_seconds(checks.fastinter),
        downinter=_seconds(checks.downinter),
        fall=checks.fall,
        rise=checks.rise,
        check_timeout=_seconds(checks.timeout),
        connect=_seconds(timings.connect),
        idle=_seconds(timings.idle),
        shutdown_sessions=checks.shutdown_sessions_on_marked_down,
        keepalives_idle=tcp.keepalives_idle,
        keepalives_interval=tcp.keepalives_interval,
        keepalives_count=tcp.keepalives_count,
        tcp_user_timeout=tcp.user_timeout / 1000,
    )


def _client(timings: Timings) -> plain.Client:
    given = timings.client
    return plain.Client(
        connect_timeout=given.connect_timeout,
        keepalives_idle=given.keepalives_idle,
        keepalives_interval=given.keepalives_interval,
        keepalives_count=given.keepalives_count,
        tcp_user_timeout=None if given.user_timeout is None else given.user_timeout / 1000,
    )
