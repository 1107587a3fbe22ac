"""PostgreSQL in a container of an image like the official ones.

What such an image promises: its command's words go to `postgres`, and PGDATA,
POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB say what its first start makes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pgstead.machine import Command, Directory, File, OnChange, Probe, Service, Software
from pgstead.modules.parts.containers import (
    READY_SECONDS,
    Container,
    afterwards,
    container_software,
    first_start,
    qualified,
    run_in,
)
from pgstead.modules.parts.software import combine
from pgstead.modules.postgres_server.parameters import parse_parameters
from pgstead.modules.postgres_server.places import (
    DATA,
    FOLDER,
    HBA,
    HOME,
    PORT,
    SOCKETS,
    TLS,
    service,
)
from pgstead.modules.postgres_server.variables import PostgresServer

__all__ = ["in_container"]

NAME = "postgres"
INSIDE = "/srv/postgresql"
"""Where the container has what the machine has in HOME: images keep volumes of their own at
/var/lib/postgresql and below, which would hide it."""

ENVIRONMENT = f"{FOLDER}/container.env"
INITDB = "--encoding=UTF8 --locale=C --data-checksums"
SECONDS = 600
"""How long the first start may take."""


def in_container(variables: PostgresServer, address: str, password: str) -> Software:
    """Runtime, script, environment and service of the container."""
    install = variables.install_dependencies
    return combine(
        container_software(
            _container(variables),
            install=install,
            package="pgstead.modules.postgres_server",
            data=DATA,
            inside=f"{INSIDE}/data",
            deadline=SECONDS,
        ),
        Software(
            directories=(Directory(HOME, mode=0o755, owner="postgres"),),
            files=(_environment(variables, password),),
            setup=(Command("initdb", first_start(NAME), creates=f"{DATA}/PG_VERSION"),),
            services=(_service(variables, address),),
        ),
    )


def _service(variables: PostgresServer, address: str) -> Service:
    command = run_in(NAME, "postgres", *_words(variables, address))
    found = service(command, user="root", ready=Probe(PORT, READY_SECONDS))
    return replace(found, afterwards=afterwards(NAME))


def _container(variables: PostgresServer) -> Container:
    return Container(
        name=NAME,
        image=qualified(variables.postgres_image or "", variables.container_registry.host),
        user="postgres",
        runtime=variables.container_runtime,
        mounts={HOME: INSIDE, FOLDER: f"{FOLDER}:ro", SOCKETS: SOCKETS},
        environment={"PGDATA": f"{INSIDE}/data"},
        environment_file=ENVIRONMENT,
        registry=variables.container_registry,
    )


def _environment(variables: PostgresServer, password: str) -> File:
    """What the first start makes; later passwords go to the server itself."""
    values = {
        "POSTGRES_USER": variables.postgres_user,
        "POSTGRES_PASSWORD": password,
        "POSTGRES_DB": variables.postgres_database,
        "POSTGRES_INITDB_ARGS": INITDB,
    }
    return File(
        ENVIRONMENT,
        "".join(f"{name}={value}\n" for name, value in values.items()),
        mode=0o600,
        secret=True,
        on_change=OnChange.CREATE_ONLY,
    )


def _words(variables: PostgresServer, address: str) -> Iterator[str]:
    """Parameters as arguments; what the containers' folders hold in common has the same paths."""
    own = {
        "listen_addresses": address,
        "port": "5432",
        "unix_socket_directories": SOCKETS,
        "hba_file": HBA,
        "password_encryption": "scram-sha-256",
        "ssl": "on",
        "ssl_ca_file": f"{TLS}/ca.crt",
        "ssl_cert_file": f"{TLS}/server.crt",
        "ssl_key_file": f"{TLS}/server.key",
    }
    for name, value in (own | parse_parameters(variables.postgres_params)).items():
        yield "-c"
        yield f"{name}={value}"
