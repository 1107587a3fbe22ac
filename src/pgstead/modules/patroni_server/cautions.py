"""What is allowed, but known to hurt."""

from __future__ import annotations

from collections.abc import Iterator

from pgstead.modules.base import Context
from pgstead.modules.parts.certificates import lifetime_cautions
from pgstead.modules.parts.guest import without_effect
from pgstead.modules.parts.model import reveal
from pgstead.modules.patroni_server.timings import patroni_timings
from pgstead.modules.patroni_server.variables import Patroni, PatroniServer, Postgres
from pgstead.timings.settings import Settings
from pgstead.timings.warnings import sentences

__all__ = ["cautions"]

ON_GUESTS = (
    "fluentbit",
    "fluentbit_dynamic_config",
    "package_source",
    "patroni_install",
    "patroni_version",
)


def cautions(variables: PatroniServer, context: Context) -> tuple[str, ...]:
    """Warnings about these variables, in whole sentences."""
    return (
        *lifetime_cautions(variables),
        *sentences(Settings(patroni=patroni_timings(variables.patroni))),
        *_replication(variables.patroni),
        *_passwords(variables.postgres),
        *_networks(variables.postgres, context),
        *_package(variables, context),
        *without_effect(variables, context, *ON_GUESTS),
    )


def _replication(patroni: Patroni) -> Iterator[str]:
    if not patroni.is_synchronous:
        yield "patroni.is_synchronous is false: a failover may lose writes that were confirmed."
    elif not patroni.synchronous_settings.strict:
        yield (
            "patroni.synchronous_settings.strict is false: without a standby, writes are"
            " confirmed that exist on the primary alone, and a failover may lose them."
        )


def _passwords(postgres: Postgres) -> Iterator[str]:
    superuser = reveal(postgres.superuser_password)
    others = {
        "replicator_password": postgres.replicator_password,
        "rewind_password": postgres.rewind_password,
    }
    for name, password in others.items():
        if password is not None and reveal(password) == superuser:
            yield (
                f"postgres.{name} equals postgres.superuser_password: whoever sees one of"
                " them, e.g. in a standby's connection, is superuser."
            )


def _package(variables: PatroniServer, context: Context) -> Iterator[str]:
    wanted = variables.patroni_install, variables.package_source
    if wanted == ("package", "distribution") and not context.facts.shares_kernel:
        yield (
            "patroni_install is package and package_source distribution: Patroni must be 4.0 or"
            " newer, and Debian 12 and Ubuntu 24.04 have 3.x; package_source postgresql has it."
        )


def _networks(postgres: Postgres, context: Context) -> Iterator[str]:
    if postgres.allowed_networks is not None or postgres.pg_hba:
        return
    if not context.facts.shares_kernel:
        yield (
            "postgres.allowed_networks is not given: any address may try to log in, with"
            " TLS and a password."
        )
