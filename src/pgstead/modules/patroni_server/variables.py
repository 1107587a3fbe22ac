"""The variables of a member of a Patroni cluster.

Names are those of the module it re-creates, and so are the defaults, or its example's
where it has none.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pgstead.modules.parts.fluentbit import PatroniFluentBit
from pgstead.modules.parts.fluentbit_dynamic import DynamicConfiguration
from pgstead.modules.parts.guest import DataGuest
from pgstead.modules.parts.model import Line, Many, MaybeLine, Model, Secret, Version, problem
from pgstead.modules.parts.network import Network
from pgstead.modules.parts.postgresql_packages import PackageSource
from pgstead.modules.patroni_server.parameters import refuse_managed
from pgstead.spec.machines import PatroniInstall, Watchdog
from pgstead.timings.settings import WatchdogMode

__all__ = [
    "Application",
    "Asynchronous",
    "Client",
    "Etcd",
    "Parameter",
    "Patroni",
    "PatroniServer",
    "Postgres",
    "Synchronous",
]


OLDEST = 4
"""The oldest major version of Patroni that will do."""


class Parameter(Model):
    """A PostgreSQL parameter, kept in the cluster's dynamic configuration."""

    key: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.$]*$", description="Name, e.g. work_mem.")
    value: Line | bool | int | float = Field(description="Value, e.g. 4MB.")


class Application(Model):
    """A role and a database for an application."""

    role: Line = Field(min_length=1, max_length=63, description="Login role of the application.")
    database: Line = Field(min_length=1, max_length=63, description="Database that it owns.")
    password: Secret = Field(description="Password of the role.")


class Client(Model):
    """What `pgstead dsn` gives clients along; what is left out is libpq's own. Ours."""

    connect_timeout: int | None = Field(
        default=None, ge=2, description="How long each address is tried, in seconds."
    )
    keepalives_idle: int | None = Field(
        default=None, ge=1, description="Silence before the first keepalive, in seconds."
    )
    keepalives_interval: int | None = Field(
        default=None, ge=1, description="Pause between two keepalives, in seconds."
    )
    keepalives_count: int | None = Field(
        default=None, ge=1, description="Unanswered keepalives until a connection is dead."
    )
    user_timeout: int | None = Field(
        default=None,
        ge=0,
        description="How long sent data may stay unacknowledged, in milliseconds.",
    )

    @property
    def options(self) -> tuple[tuple[str, str], ...]:
        """The parameters of libpq (PostgreSQL manual, 34.1.2) and their values."""
        given = self.model_dump(exclude_none=True)
        return tuple(
            ("tcp_user_timeout" if key == "user_timeout" else key, str(value))
            for key, value in given.items()
        )


class Postgres(Model):
    """PostgreSQL of the cluster; the same on every member, but for the certificate."""

    version: Version | None = Field(
        default=None,
        description=(
            'Major version, e.g. "15"; without one, the newest there is when the cluster is made.'
            " It stays: another one cannot open the data, and is refused."
        ),
    )
    params: Many[Parameter] = Field(
        default=(),
        description="Parameters of the whole cluster; those that Patroni manages are refused.",
    )
    superuser_password: Secret = Field(description="Password of the superuser postgres.")
    replicator_password: Secret = Field(description="Password of the replication role replicator.")
    rewind_password: Secret | None = Field(
        default=None,
        description="Password of the role rewind, for pg_rewind; without one, postgres does it.",
    )
    application: Application | None = Field(
        default=None, description="A role and a database for an application."
    )
    client: Client = Field(
        default_factory=Client, description="What `pgstead dsn` gives clients along. Ours."
    )
    pg_hba: Many[Line] = Field(
        default=(),
        description="Lines of pg_hba.conf that replace the module's own; the first match counts.",
    )
    allowed_networks: Many[Network] | None = Field(
        default=None,
        description=(
            "Networks that may log in, in the module's own pg_hba.conf; without them, any"
            " address (on the platform local: 127.0.0.0/8)."
        ),
    )
    ca_certificate: str | None = Field(
        default=None, description="Certificate of the authority of server_certificate, in PEM."
    )
    server_certificate: str | None = Field(
        default=None,
        description="Certificate of PostgreSQL and of Patroni's API, made elsewhere, in PEM.",
    )
    server_key: Secret | None = Field(
        default=None, description="Private key of server_certificate, in PEM."
    )

    @model_validator(mode="after")
    def _parameters_are_the_users(self) -> Self:
        try:
            refuse_managed(parameter.key for parameter in self.params)
        except ValueError as error:
            raise problem(str(error), "params") from None
        return self


class Etcd(Model):
    """The etcd cluster that holds Patroni's state."""

    endpoints: Many[Annotated[str, Field(pattern=r"^[^\s:,]+:\d{1,5}$")]] = Field(
        min_length=1, description='Members, as "address:port".'
    )
    ca_cert: str | None = Field(
        default=None, description="Certificate of the authority of etcd's members, in PEM."
    )
    username: Line = Field(default="", description="etcd user; none without authentication.")
    password: Secret | None = Field(default=None, description="Password of the etcd user.")


class Synchronous(Model):
    """Replication without loss."""

    strict: bool = Field(
        default=True, description="Whether writes wait even if there is no synchronous standby."
    )
    synchronous_node_count: int = Field(
        default=1, ge=1, description="How many standbys confirm a write."
    )
    mode: Literal["on", "quorum"] = Field(
        default="on",
        description="Whether certain standbys confirm a write (on), or any of them (quorum).",
    )


class Asynchronous(Model):
    """Replication that may lose the last writes in a failover."""

    maximum_lag_on_failover: int = Field(
        default=1048576,
        ge=0,
        description="A standby that is further behind than this, in bytes, is never promoted.",
    )


class Patroni(Model):
    """Patroni; the same on every member of a scope, but for the name and the certificate."""

    scope: Line = Field(pattern=r"^[^/\s]+$", description="Name of the cluster.")
    namespace: Line = Field(
        default="/service/", pattern=r"^/\S*$", description="Prefix of the cluster's keys in etcd."
    )
    name: Line | None = Field(
        default=None, pattern=r"^[^/\s]+$", description="Name of the member; by default, `name`."
    )
    ttl: int = Field(
        default=60,
        ge=20,
        description="A leader that is silent for this long, in seconds, loses its place.",
    )
    loop_wait: int = Field(
        default=5, ge=1, description="Pause between two looks at the cluster, in seconds."
    )
    retry_timeout: int = Field(
        default=10,
        ge=3,
        description="How long etcd or PostgreSQL may fail until the leader steps down, in seconds.",
    )
    master_start_timeout: int = Field(
        default=300,
        ge=0,
        description=(
            "How long a crashed primary may take to come back before a failover, in seconds"
            " (Patroni's primary_start_timeout)."
        ),
    )
    master_stop_timeout: int = Field(
        default=300,
        ge=0,
        description=(
            "How long a synchronous primary may take to stop before it is killed, in seconds;"
            " 0: without end (Patroni's primary_stop_timeout)."
        ),
    )
    failsafe_mode: bool = Field(
        default=False,
        description="Whether a leader goes on without etcd while all members answer it.",
    )
    watchdog_safety_margin: int = Field(
        default=-1,
        ge=-1,
        description=(
            "How long before the leader's end the watchdog resets the machine, in seconds;"
            " -1: half of ttl. There is no watchdog on the platform local."
        ),
    )
    watchdog: Watchdog = Field(
        default="softdog",
        description=(
            "What resets a guest whose Patroni hangs: the kernel's softdog, a device of the"
            " virtual machine (i6300esb), or nothing (off). Ours."
        ),
    )
    watchdog_mode: WatchdogMode = Field(
        default="required",
        description=(
            "Whether a member without a working watchdog may lead (automatic) or not (required);"
            " off: no watchdog. Ours."
        ),
    )
    use_pg_rewind: bool = Field(
        default=True, description="Whether a former primary catches up by pg_rewind."
    )
    is_synchronous: bool = Field(default=True, description="Whether replication is synchronous.")
    synchronous_settings: Synchronous = Field(
        default_factory=Synchronous, description="Used if is_synchronous is true."
    )
    asynchronous_settings: Asynchronous = Field(
        default_factory=Asynchronous, description="Used if is_synchronous is false."
    )
    bootstrap_without_sync: bool = Field(
        default=False,
        description=(
            "Whether a new data folder is written without waiting for the disk, and synced once"
            " before the cluster counts as ready. Ours."
        ),
    )
    client_certificate: str | None = Field(
        default=None,
        description="Certificate for calls to other members' API, made elsewhere, in PEM.",
    )
    client_key: Secret | None = Field(
        default=None, description="Private key of client_certificate, in PEM."
    )


_GIVEN = (
    ("postgres", "ca_certificate"),
    ("postgres", "server_certificate"),
    ("postgres", "server_key"),
    ("etcd", "ca_cert"),
    ("patroni", "client_certificate"),
    ("patroni", "client_key"),
)


class PatroniServer(DataGuest):
    """Variables of the module `patroni-server`."""

    source: Literal["patroni-server", "kvm-patroni-server"] = Field(
        default="patroni-server", description="The module."
    )
    certificate_names: Many[Line] = Field(
        default=(),
        description=(
            "Further names and addresses in the server's certificate: those of the load"
            " balancers in front of it."
        ),
    )
    postgres: Postgres = Field(description="PostgreSQL.")
    etcd: Etcd = Field(description="The etcd cluster that holds Patroni's state.")
    patroni: Patroni = Field(description="Patroni.")
    patroni_version: MaybeLine = Field(
        default=None, pattern=r"^\d+(\.\d+)*$", description="Version of Patroni, 4.0 or newer."
    )
    patroni_install: PatroniInstall = Field(
        default="venv",
        description=(
            "Where Patroni comes from on guests: PyPI, into a virtual environment, or a package"
            " of package_source. Ours."
        ),
    )
    package_source: PackageSource = Field(
        default="distribution",
        description=(
            "Whose packages are installed on guests: the distribution's, or those of"
            " PostgreSQL's own apt repository. Ours."
        ),
    )
    fluentbit: PatroniFluentBit = Field(
        default_factory=PatroniFluentBit, description="Logs, forwarded by fluent-bit; on guests."
    )
    fluentbit_dynamic_config: DynamicConfiguration = Field(
        default_factory=DynamicConfiguration,
        description="fluent-bit's configuration from elsewhere, kept current.",
    )

    @model_validator(mode="after")
    def _logs_can_be_sent(self) -> Self:
        self.fluentbit.check(self.fluentbit_dynamic_config)
        return self

    @model_validator(mode="after")
    def _patroni_is_new_enough(self) -> Self:
        version = self.patroni_version
        if version is not None and int(version.partition(".")[0]) < OLDEST:
            raise problem(f"is {version}, but 4.0 or newer is needed", "patroni_version")
        return self

    @model_validator(mode="after")
    def _one_source_of_certificates(self) -> Self:
        """Either an authority issues all, or all were made elsewhere."""
        given = [
            f"{part}.{key}" for part, key in _GIVEN if getattr(getattr(self, part), key) is not None
        ]
        if self.ca is not None and given:
            raise ValueError(f"`ca` issues the certificates: leave out {', '.join(given)}")
        lacking = [f"{part}.{key}" for part, key in _GIVEN if f"{part}.{key}" not in given]
        if self.ca is None and lacking:
            raise ValueError(f"give `ca`, which issues certificates, or also {', '.join(lacking)}")
        return self

    @property
    def member(self) -> str:
        """The member's name in its cluster."""
        return self.patroni.name or self.name
