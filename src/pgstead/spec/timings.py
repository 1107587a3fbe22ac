"""How fast a cluster notices and acts: the fastest safe set by default.

Every failover timing of a cluster stands here, in one place, because they only make sense
together; `pgstead.timings` holds what must hold between them, and what follows from them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from pgstead.spec.models import Duration, Model
from pgstead.spec.timing_target import named_or_duration, with_target
from pgstead.timings.targets import TARGETS

Target = Annotated[
    str,
    AfterValidator(named_or_duration),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": list(TARGETS)},
                {"type": "string", "pattern": "^[1-9][0-9]{0,8}(us|ms|s|m|h|d)$"},
            ]
        }
    ),
]
"""A set of timings by name, or the outage that a dead leader's machine may cost, e.g. 30s."""


class EtcdTimings(Model):
    """How fast etcd's members notice that their leader is gone."""

    heartbeat_interval: int = Field(
        100, ge=10, le=5000, description="Milliseconds between two heartbeats of etcd's leader."
    )
    election_timeout: int = Field(
        500,
        ge=50,
        le=50_000,
        description="Milliseconds without a heartbeat after which etcd elects a new leader; at "
        "least five heartbeats, and ten round trips between the members.",
    )
    round_trip: Duration = Field(
        "1ms",
        description="The longest usual round trip between two etcd members; an election timeout "
        "under ten of them is refused.",
    )


class CheckTimings(Model):
    """How the load balancer finds the primary, by asking each member's Patroni."""

    inter: Duration = Field("1s", description="Time between two checks of a member.")
    fastinter: Duration = Field("300ms", description="The same while its state is changing.")
    downinter: Duration = Field("300ms", description="The same while it is down.")
    fall: int = Field(3, ge=1, le=100, description="Failed checks until a member is down.")
    rise: int = Field(1, ge=1, le=100, description="Passed checks until a member is up.")
    timeout: Duration = Field("2s", description="How long a check may take.")
    shutdown_sessions_on_marked_down: bool = Field(
        True,
        description="Whether the sessions of a member that goes down are cut; without it a "
        "client may go on talking to an old primary.",
    )


class TcpTimings(Model):
    """How fast PostgreSQL notices a client or standby whose machine is gone."""

    keepalives_idle: int = Field(
        5, ge=1, le=32_767, description="Seconds of silence before the first keepalive."
    )
    keepalives_interval: int = Field(
        1, ge=1, le=32_767, description="Seconds between two keepalives."
    )
    keepalives_count: int = Field(
        3, ge=1, le=127, description="Unanswered keepalives until a connection is dead."
    )
    user_timeout: int = Field(
        5000,
        ge=0,
        le=3_600_000,
        description="Milliseconds that sent data may stay unacknowledged; 0 is the kernel's own.",
    )


class BalancerTcpTimings(TcpTimings):
    """How fast the load balancer notices a client or member whose machine is gone."""

    user_timeout: int = Field(
        0,
        ge=0,
        le=3_600_000,
        description="Milliseconds that sent data may stay unacknowledged; 0 is the kernel's own.",
    )


class ClientTimings(Model):
    """What `pgstead dsn` gives clients along; what is left out is libpq's own."""

    connect_timeout: int | None = Field(
        None, ge=2, le=3600, description="Seconds that a client tries each address."
    )
    keepalives_idle: int | None = Field(
        None, ge=1, le=32_767, description="Seconds of silence before the first keepalive."
    )
    keepalives_interval: int | None = Field(
        None, ge=1, le=32_767, description="Seconds between two keepalives."
    )
    keepalives_count: int | None = Field(
        None, ge=1, le=127, description="Unanswered keepalives until a connection is dead."
    )
    user_timeout: int | None = Field(
        None,
        ge=0,
        le=3_600_000,
        description="Milliseconds that sent data may stay unacknowledged; 0 is the kernel's own.",
    )


class WatchdogTimings(Model):
    """When a machine whose Patroni hangs is reset; `postgres.watchdog` says by what."""

    mode: Literal["required", "automatic", "off"] = Field(
        "required",
        description="required: a member without a working watchdog never leads. automatic: it is "
        "used where it works. off: there is none. On the platform local there is none either way.",
    )
    safety_margin: int = Field(
        -1,
        ge=-1,
        le=3600,
        description="Seconds before the end of the leader's lease that it fires; -1 is half of "
        "ttl. One that fires later, or within one loop_wait, is refused.",
    )


class Timings(Model):
    """The timings of a cluster."""

    target: Target | None = Field(
        None,
        description="Where the other timings start from. fast (the default) is the fastest safe "
        "set, patroni what Patroni, HAProxy and PostgreSQL do by themselves, seeds the Terraform "
        "modules' own example, slow for machines that stall for seconds. A time such as 40s is "
        "the calmest set with which the loss of the leader's machine costs no more. What is "
        "given beside it wins.",
    )
    ttl: int = Field(
        20,
        ge=1,
        le=3600,
        description="Seconds that the leader's lease lives: how long a dead node is missed. At "
        "least 20, and at least loop_wait + 2 x retry_timeout.",
    )
    loop_wait: int = Field(
        1, ge=1, le=600, description="Seconds between two rounds of Patroni's loop."
    )
    retry_timeout: int = Field(
        8,
        ge=3,
        le=600,
        description="Seconds that Patroni retries etcd and PostgreSQL before it gives up.",
    )
    primary_start_timeout: int = Field(
        0,
        ge=0,
        le=3600,
        description="Seconds that a crashed primary may take to start before another member takes "
        "over; 0 fails over at once where that is possible.",
    )
    primary_stop_timeout: int = Field(
        0,
        ge=0,
        le=3600,
        description="Seconds that a primary may take to stop in synchronous mode before it is "
        "killed; 0 sets no limit.",
    )
    failsafe_mode: bool = Field(
        True,
        description="Whether the primary goes on while etcd is away, as long as it reaches every "
        "other member.",
    )
    etcd: EtcdTimings = Field(
        default_factory=EtcdTimings, description="The timings of etcd's own elections."
    )
    checks: CheckTimings = Field(
        default_factory=CheckTimings, description="How the load balancer finds the primary."
    )
    connect: Duration = Field(
        "300ms",
        description="How long the load balancer waits for a connection to a member, and before it "
        "tries again.",
    )
    idle: Duration = Field(
        "24h",
        description="How long a session through the load balancer may be silent. Connection pools "
        "keep silent sessions for long, so this is no short time.",
    )
    tcp: TcpTimings = Field(
        default_factory=TcpTimings,
        description="How fast PostgreSQL notices a machine that is gone.",
    )
    balancer_tcp: BalancerTcpTimings = Field(
        default_factory=BalancerTcpTimings,
        description="How fast the load balancer notices a machine that is gone.",
    )
    client: ClientTimings = Field(
        default_factory=ClientTimings, description="What `pgstead dsn` gives clients along."
    )
    watchdog: WatchdogTimings = Field(
        default_factory=WatchdogTimings,
        description="When a machine whose Patroni hangs is reset.",
    )
    wal_sender_timeout: Duration = Field(
        "5s", description="How long the primary waits for a silent standby."
    )
    wal_receiver_timeout: Duration = Field(
        "3s",
        description="How long a standby waits for a silent primary, which it asks for a sign of "
        "life after half of it. A primary that was merely slow costs a new connection.",
    )
    wal_retrieve_retry_interval: Duration = Field(
        "1s", description="How long a standby waits before it tries to stream again."
    )

    @model_validator(mode="before")
    @classmethod
    def _start_from_target(cls, data: Any) -> Any:
        return with_target(data) if isinstance(data, dict) else data
