"""What belongs to the whole Patroni cluster: its dynamic configuration and its roles."""

from __future__ import annotations

from typing import Any

from pgstead.membership import Database, PostgresAccess, Role
from pgstead.modules.parts.model import reveal
from pgstead.modules.patroni_server.variables import Patroni, PatroniServer, Postgres

__all__ = ["access", "dynamic", "shared"]

REQUIRED_PARAMETERS = {"password_encryption": "scram-sha-256"}
"""pg_hba.conf asks for it."""


def dynamic(variables: PatroniServer) -> dict[str, Any]:
    """The dynamic configuration, in Patroni's own shape."""
    patroni = variables.patroni
    return {
        "ttl": patroni.ttl,
        "loop_wait": patroni.loop_wait,
        "retry_timeout": patroni.retry_timeout,
        "primary_start_timeout": patroni.master_start_timeout,
        "primary_stop_timeout": patroni.master_stop_timeout,
        "failsafe_mode": patroni.failsafe_mode,
        **_replication(patroni),
        "postgresql": {
            "use_pg_rewind": patroni.use_pg_rewind,
            "use_slots": True,
            "parameters": _parameters(variables.postgres),
        },
    }


def access(variables: PatroniServer) -> PostgresAccess:
    """The cluster's roles and databases."""
    postgres = variables.postgres
    roles = [
        Role(
            "postgres",
            reveal(postgres.superuser_password),
            superuser=True,
            managed_by_patroni=True,
        ),
        Role(
            "replicator",
            reveal(postgres.replicator_password),
            replication=True,
            managed_by_patroni=True,
        ),
    ]
    if postgres.rewind_password is not None:
        roles.append(Role("rewind", reveal(postgres.rewind_password), managed_by_patroni=True))
    application = postgres.application
    if application is None:
        return PostgresAccess(tuple(roles))
    roles.append(Role(application.role, reveal(application.password)))
    return PostgresAccess(tuple(roles), (Database(application.database, application.role),))


def shared(variables: PatroniServer) -> tuple[str, dict[str, object]]:
    """The cluster a member belongs to, and what all of its members must agree on."""
    patroni, postgres = variables.patroni, variables.postgres
    own = {"ca_certificate", "server_certificate", "server_key", "params"}
    values: dict[str, object] = {
        f"patroni.{key}": value
        for key, value in patroni.model_dump(
            exclude={
                "name",
                "client_certificate",
                "client_key",
                "watchdog_mode",
                "watchdog_safety_margin",
            }
        ).items()
    }
    values |= {f"postgres.{key}": value for key, value in postgres.model_dump(exclude=own).items()}
    values["postgres.params"] = _parameters(postgres)
    values["etcd.endpoints"] = sorted(variables.etcd.endpoints)
    return f"Patroni scope {patroni.namespace.rstrip('/')}/{patroni.scope}", values


def _replication(patroni: Patroni) -> dict[str, Any]:
    if not patroni.is_synchronous:
        lag = patroni.asynchronous_settings.maximum_lag_on_failover
        return {"synchronous_mode": False, "maximum_lag_on_failover": lag}
    settings = patroni.synchronous_settings
    return {
        "synchronous_mode": "quorum" if settings.mode == "quorum" else True,
        "synchronous_mode_strict": settings.strict,
        "synchronous_node_count": settings.synchronous_node_count,
    }


def _parameters(postgres: Postgres) -> dict[str, object]:
    given = {parameter.key.lower(): parameter.value for parameter in postgres.params}
    return dict(sorted((REQUIRED_PARAMETERS | given).items()))
