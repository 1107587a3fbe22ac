"""PostgreSQL from a package, or as it is installed."""

from __future__ import annotations

from pgstead.machine import Command, File, OnChange, Software, binary, path
from pgstead.modules.base import Context
from pgstead.modules.parts.postgresql_major import Major
from pgstead.modules.parts.postgresql_packages import postgresql_packages
from pgstead.modules.parts.software import combine
from pgstead.modules.postgres_server.parameters import needs_restart, parse_parameters
from pgstead.modules.postgres_server.places import (
    CONFIGURATION,
    DATA,
    FOLDER,
    HBA,
    PASSWORD,
    SOCKETS,
    TLS,
    file,
    service,
)
from pgstead.modules.postgres_server.variables import PostgresServer

__all__ = ["from_packages"]


def from_packages(
    variables: PostgresServer, context: Context, major: Major, address: str, password: str
) -> Software:
    """Packages of that version, configuration, data folder and service."""
    command = (binary("postgres"), "-D", path(DATA), "-c", f"config_file={path(CONFIGURATION)}")
    return combine(
        _packages(variables, context, major),
        Software(
            files=_files(variables, address, password),
            setup=_setup(variables),
            services=(service(command, user="postgres"),),
        ),
    )


def _packages(variables: PostgresServer, context: Context, major: Major) -> Software:
    return postgresql_packages(
        context,
        variables.package_source,
        major.package,
        install=variables.install_dependencies,
    )


def _files(variables: PostgresServer, address: str, password: str) -> tuple[File, ...]:
    parameters = parse_parameters(variables.postgres_params).items()
    restart = [(name, value) for name, value in parameters if needs_restart(name)]
    reload = [(name, value) for name, value in parameters if not needs_restart(name)]
    return (
        file(CONFIGURATION, OnChange.RESTART, **_places(), address=address, parameters=restart),
        file(f"{FOLDER}/reload.conf", OnChange.RELOAD, tls=_tls(), parameters=reload),
        # Read by initdb alone; later passwords go to the server itself.
        File(
            PASSWORD,
            f"{password}\n",
            mode=0o600,
            owner="postgres",
            secret=True,
            on_change=OnChange.CREATE_ONLY,
        ),
    )


def _places() -> dict[str, object]:
    return {
        "data": path(DATA),
        "hba": path(HBA),
        "ident": path(f"{DATA}/pg_ident.conf"),
        "sockets": path(SOCKETS),
    }


def _tls() -> dict[str, str]:
    return {
        "ca": path(f"{TLS}/ca.crt"),
        "certificate": path(f"{TLS}/server.crt"),
        "key": path(f"{TLS}/server.key"),
    }


def _setup(variables: PostgresServer) -> tuple[Command, ...]:
    """A data folder, made beside its place and moved there whole.

    An initdb that is killed leaves a folder that looks finished but is not; the rename at
    the end is all or nothing, so a rerun begins anew or finds the work done.
    """
    fresh, done = f"{DATA}.new", f"{DATA}/PG_VERSION"
    initdb = (
        binary("initdb"),
        f"--pgdata={path(fresh)}",
        f"--username={variables.postgres_user}",
        f"--pwfile={path(PASSWORD)}",
        "--auth-local=scram-sha-256",
        "--auth-host=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--data-checksums",
    )
    steps = {
        "clear": ("/bin/rm", "-rf", path(fresh)),
        "initdb": initdb,
        "finish": ("/bin/mv", "-T", path(fresh), path(DATA)),
    }
    return tuple(Command(name, argv, creates=done, user="postgres") for name, argv in steps.items())
