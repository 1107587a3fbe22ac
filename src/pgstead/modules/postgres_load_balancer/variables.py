"""The variables of a load balancer in front of a Patroni cluster.

Names and defaults are those of the module it re-creates; a variable of ours says so.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from pgstead.modules.parts.certificates import YEAR
from pgstead.modules.parts.containers import (
    ContainerRegistry,
    Image,
    Runtime,
    require_encrypted,
)
from pgstead.modules.parts.fluentd import Fluentd
from pgstead.modules.parts.guest import Guest
from pgstead.modules.parts.model import (
    Address,
    Blank,
    HostName,
    Hours,
    Line,
    Many,
    Model,
    Port,
    Secret,
)

__all__ = [
    "Api",
    "Checks",
    "HAProxy",
    "Member",
    "PatroniClient",
    "PostgresLoadBalancer",
    "ReadOnly",
    "Statistics",
    "Tcp",
    "Timeouts",
    "seconds",
]

_DURATION = re.compile(r"(\d{1,9})(us|ms|s|m|h|d)?")
_SECONDS = {"us": 1e-6, "ms": 1e-3, None: 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(duration: str) -> float:
    """An HAProxy duration in seconds; a number without a unit is milliseconds."""
    found = _DURATION.fullmatch(duration)
    if found is None or int(found[1]) == 0:
        raise ValueError(f"{duration!r} is not a duration like 300ms, 1s, 30m or 24h")
    return int(found[1]) * _SECONDS[found[2]]


def _duration(text: str) -> str:
    seconds(text)
    return text


Duration = Annotated[str, AfterValidator(_duration)]


class Member(Model):
    """A member of the Patroni cluster."""

    name: HostName = Field(description="Name of the member.")
    ip: Address = Field(description="Address of the member.")


class PatroniClient(Model):
    """An authority that signs the certificate for Patroni's API."""

    ca_key: Secret = Field(description="Private key of the authority, in PEM.")
    ca_certificate: str = Field(description="Certificate of the authority, in PEM.")
    certificate_validity_period: Hours = Field(
        default=YEAR, description="How long the certificate is valid, in hours."
    )
    certificate_early_renewal_period: Hours = Field(
        default=30 * 24, description="How long before its end it is renewed, in hours."
    )


class Timeouts(Model):
    """How long HAProxy waits."""

    connect: Duration = Field(default="15s", description="For a connection to a member.")
    check: Duration = Field(default="15s", description="For the answer to a health check.")
    idle: Duration = Field(
        default="60s", description="For traffic in either direction; then the session is cut."
    )


class Checks(Model):
    """Health checks of the members; ours."""

    inter: Duration = Field(default="1s", description="Pause between two checks.")
    fastinter: Duration | None = Field(
        default=None, description="The same while a member changes between up and down."
    )
    downinter: Duration | None = Field(default=None, description="The same while a member is down.")
    fall: int = Field(default=1, ge=1, description="Failed checks until a member is down.")
    rise: int = Field(default=1, ge=1, description="Passed checks until a member is up.")
    shutdown_sessions_on_marked_down: bool = Field(
        default=False, description="Whether sessions on a member are cut when it goes down."
    )


class Tcp(Model):
    """How soon the kernel notices a client or member that is gone without a word; ours."""

    keepalives_idle: int = Field(
        default=5, ge=1, description="Silence before the first keepalive, in seconds."
    )
    keepalives_interval: int = Field(
        default=1, ge=1, description="Pause between two keepalives, in seconds."
    )
    keepalives_count: int = Field(
        default=3, ge=1, description="Unanswered keepalives until a connection is dead."
    )
    user_timeout: int = Field(
        default=0,
        ge=0,
        description="How long sent data may stay unacknowledged, in milliseconds; 0: the kernel's.",
    )


class ReadOnly(Model):
    """The endpoint for reads, on the streaming replicas; ours."""

    enabled: bool = Field(default=False, description="Whether there is one.")
    port: Port = Field(default=5433, description="Port of the endpoint.")
    fallback: Literal["none", "primary"] = Field(
        default="none",
        description=(
            "Where sessions go while no replica is up: nowhere, or to the primary, where they"
            " can write."
        ),
    )
    maximum_lag: Line | None = Field(
        default=None,
        pattern=r"^\d+ ?([kMGT]?B)?$",
        description="A replica that is further behind than this, e.g. 16MB, gets no sessions.",
    )


class Api(Model):
    """The primary's Patroni API."""

    enabled: bool = Field(default=True, description="Whether it is passed on.")
    port: Port = Field(default=4443, description="Port of the endpoint.")


class Statistics(Model):
    """HAProxy's statistics, a page and CSV, over TLS with a client certificate; ours."""

    enabled: bool = Field(default=False, description="Whether they are served.")
    port: Port = Field(default=8404, description="Port of the page.")


class HAProxy(Model):
    """HAProxy's configuration."""

    members: Many[Member] = Field(
        default=(), description="Members of the cluster; instead of postgres_domain. Ours."
    )
    postgres_nodes_max_count: int | None = Field(
        default=None, ge=1, description="Most members that postgres_domain may resolve to."
    )
    postgres_nameserver_ips: Many[Address] = Field(
        default=(), description="Name servers that resolve postgres_domain."
    )
    postgres_domain: Line | None = Field(
        default=None, pattern=r"^[A-Za-z0-9._-]+$", description="Domain name of all members."
    )
    patroni_client: PatroniClient | None = Field(
        default=None,
        description="Authority of the certificate for Patroni's API; instead of `ca`.",
    )
    timeouts: Timeouts = Field(default_factory=Timeouts, description="How long HAProxy waits.")
    checks: Checks = Field(default_factory=Checks, description="Health checks of the members.")
    tcp: Tcp = Field(
        default_factory=Tcp, description="How soon a silent client or member is noticed."
    )
    max_connections: int = Field(
        default=1000, ge=1, description="Most sessions at the same time. Ours."
    )
    read_only: ReadOnly = Field(default_factory=ReadOnly, description="The endpoint for reads.")
    api: Api = Field(default_factory=Api, description="The primary's Patroni API.")
    statistics: Statistics = Field(default_factory=Statistics, description="HAProxy's statistics.")

    @model_validator(mode="after")
    def _members_are_known(self) -> Self:
        if bool(self.members) == (self.postgres_domain is not None):
            raise ValueError("give one of haproxy.members and haproxy.postgres_domain")
        dns = self.postgres_nodes_max_count, self.postgres_nameserver_ips
        if self.postgres_domain is not None and not all(dns):
            raise ValueError(
                "haproxy.postgres_domain needs haproxy.postgres_nodes_max_count and"
                " haproxy.postgres_nameserver_ips"
            )
        names = [member.name for member in self.members]
        if len(set(names)) != len(names):
            raise ValueError("haproxy.members names a member twice")
        return self

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        used = {"the primary's": 5432}
        for name in ("read_only", "api", "statistics"):
            part: ReadOnly | Api | Statistics = getattr(self, name)
            if part.enabled and part.port in used.values():
                raise ValueError(f"haproxy.{name}.port {part.port} is used twice")
            if part.enabled:
                used[name] = part.port
        return self


class PostgresLoadBalancer(Guest):
    """Variables of the module `postgres-load-balancer`."""

    source: Literal["postgres-load-balancer", "kvm-postgres-load-balancer"] = Field(
        default="postgres-load-balancer", description="The module."
    )
    haproxy: HAProxy = Field(description="HAProxy's configuration.")
    container_registry: ContainerRegistry = Field(
        default_factory=ContainerRegistry,
        description="Registry of HAProxy's image; if given, HAProxy runs in a container.",
    )
    haproxy_image: Annotated[Image | None, Blank] = Field(
        default=None,
        description=(
            "Image of HAProxy, to run it in a container; haproxy:3.0 if there is only a"
            " container_registry. On guests; ours."
        ),
    )
    container_runtime: Runtime = Field(
        default="podman", description="What runs the container. On guests; ours."
    )
    fluentd: Fluentd = Field(
        default_factory=Fluentd, description="Logs, forwarded by fluentd; on guests."
    )

    @property
    def wants_container(self) -> bool:
        """Whether HAProxy runs in a container."""
        return self.haproxy_image is not None or self.container_registry.url is not None

    @model_validator(mode="after")
    def _registry_is_encrypted_for_docker(self) -> Self:
        require_encrypted(self.container_runtime, self.container_registry)
        return self

    @model_validator(mode="after")
    def _one_source_of_certificates(self) -> Self:
        if (self.ca is None) == (self.haproxy.patroni_client is None):
            raise ValueError("give one of `ca` and haproxy.patroni_client")
        return self
