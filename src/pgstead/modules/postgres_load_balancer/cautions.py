"""What is allowed, but known to hurt."""

from __future__ import annotations

from collections.abc import Iterator

from pgstead.modules.parts.certificates import LONG, YEAR, lifetime_cautions
from pgstead.modules.postgres_load_balancer.variables import HAProxy, PostgresLoadBalancer, seconds

__all__ = ["cautions"]

SHORT_IDLE = 600


def cautions(variables: PostgresLoadBalancer) -> tuple[str, ...]:
    """Warnings about these variables, in whole sentences."""
    return (
        *lifetime_cautions(variables),
        *_certificate(variables.haproxy),
        *_sessions(variables.haproxy),
        *_registry(variables),
    )


def _certificate(haproxy: HAProxy) -> Iterator[str]:
    client = haproxy.patroni_client
    if client is not None and client.certificate_validity_period > LONG:
        years = client.certificate_validity_period // YEAR
        yield (
            f"haproxy.patroni_client.certificate_validity_period is {years} years: a stolen key"
            f" stays good for as long. {YEAR} (one year) is enough, since `up` renews"
            " certificates without a restart."
        )


def _sessions(haproxy: HAProxy) -> Iterator[str]:
    if seconds(haproxy.timeouts.idle) < SHORT_IDLE:
        yield (
            f"haproxy.timeouts.idle is {haproxy.timeouts.idle}: idle sessions of connection pools,"
            " and queries that take longer, are cut; 24h leaves them alone."
        )
    if not haproxy.checks.shutdown_sessions_on_marked_down:
        yield (
            "haproxy.checks.shutdown_sessions_on_marked_down is false: sessions stay on a former"
            " primary after a failover, where they hang or go on reading old data."
        )
    if haproxy.checks.fall == 1:
        yield (
            "haproxy.checks.fall is 1: a single failed check, e.g. a lost packet, takes the"
            " primary out."
        )


def _registry(variables: PostgresLoadBalancer) -> Iterator[str]:
    if variables.container_registry.url:
        yield "container_registry has no effect: HAProxy runs from a package, not a container."
