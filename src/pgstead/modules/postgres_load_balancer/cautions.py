"""What is allowed, but known to hurt."""

from __future__ import annotations

from collections.abc import Iterator

from pgstead.modules.base import Context
from pgstead.modules.parts.certificates import LONG, YEAR, lifetime_cautions
from pgstead.modules.parts.containers import registry_cautions
from pgstead.modules.parts.guest import without_effect
from pgstead.modules.postgres_load_balancer.timings import balancer_timings
from pgstead.modules.postgres_load_balancer.variables import HAProxy, PostgresLoadBalancer
from pgstead.timings.settings import Settings
from pgstead.timings.warnings import sentences

__all__ = ["cautions"]


def cautions(variables: PostgresLoadBalancer, context: Context) -> tuple[str, ...]:
    """Warnings about these variables, in whole sentences."""
    return (
        *lifetime_cautions(variables),
        *_certificate(variables.haproxy),
        *sentences(Settings(balancer=balancer_timings(variables.haproxy))),
        *_container(variables, context),
        *without_effect(variables, context, "container_runtime", "fluentd"),
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


def _container(variables: PostgresLoadBalancer, context: Context) -> Iterator[str]:
    if variables.wants_container and context.facts.shares_kernel:
        yield (
            "haproxy_image and container_registry have no effect on this platform: the HAProxy"
            " that is installed runs, not a container."
        )
    yield from registry_cautions(variables.container_registry)
