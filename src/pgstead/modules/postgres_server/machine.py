"""A PostgreSQL server as a machine."""

from __future__ import annotations

from pgstead.certificates import KeyPair
from pgstead.machine import Directory, Disk, File, Machine, OnChange, Software, User
from pgstead.membership import Database, PostgresAccess, Role, StandaloneServer
from pgstead.modules.base import Context
from pgstead.modules.parts.certificates import issue, tls_files
from pgstead.modules.parts.common import common_software
from pgstead.modules.parts.guest import guest
from pgstead.modules.parts.hba import hba_lines
from pgstead.modules.parts.model import reveal
from pgstead.modules.parts.postgresql_major import Data, Major, installed_major, kept_major
from pgstead.modules.parts.software import combine
from pgstead.modules.postgres_server.cautions import cautions
from pgstead.modules.postgres_server.container import in_container
from pgstead.modules.postgres_server.packaged import from_packages
from pgstead.modules.postgres_server.places import (
    DATA,
    FOLDER,
    HBA,
    HOME,
    PORT,
    SOCKETS,
    TLS,
    file,
)
from pgstead.modules.postgres_server.variables import PostgresServer

__all__ = ["machine"]


def machine(variables: PostgresServer, context: Context) -> Machine:
    """The machine of a PostgreSQL server.

    Raises `MissingSoftware` where another version than the wanted one is there.
    """
    address = context.materials.address(variables.name, variables.wanted_ip)
    pair = _server_pair(variables, context, address)
    password = _password(variables, context)
    contained = variables.postgres_image is not None and not context.facts.shares_kernel
    major = _major(variables, context, contained=contained)
    software = combine(
        Software(users=(User("postgres"),), directories=_directories()),
        in_container(variables, address, password)
        if contained
        else from_packages(variables, context, major, address, password),
        Software(files=_shared_files(variables, context, pair)),
        common_software(variables, context, address),
    )
    return Machine(
        name=variables.name,
        module=context.module,
        address=address,
        software=software,
        membership=_membership(variables, address, pair, password),
        warnings=cautions(variables, context),
        guest=guest(variables, context, address, data=Disk("data", mount=HOME, owner="postgres")),
        postgresql=None if contained else major.runs,
        refused=major.refused,
    )


def _major(variables: PostgresServer, context: Context, *, contained: bool) -> Major:
    """An image's tag is no more than a wish where the platform's own servers run."""
    data = Data(f"machine.{variables.name}", variables.name, DATA)
    if contained:
        return kept_major(context, variables.wanted_version, data)
    return installed_major(context, variables.version, data)


def _password(variables: PostgresServer, context: Context) -> str:
    given = reveal(variables.postgres_password)
    return given or context.materials.password(f"{context.module}/postgres")


def _server_pair(variables: PostgresServer, context: Context, address: str) -> KeyPair:
    return issue(
        context,
        variables,
        "server",
        common_name=variables.domains[0] if variables.domains else variables.name,
        hosts=(address, *variables.domains),
        server=True,
    )


def _directories() -> tuple[Directory, ...]:
    return (
        Directory(FOLDER, mode=0o755, owner="postgres"),
        Directory(TLS, mode=0o750, owner="postgres"),
        Directory(SOCKETS, mode=0o755, owner="postgres"),
        Directory(HOME, mode=0o755, owner="postgres"),
        Directory(DATA, mode=0o700, owner="postgres", data=True),
    )


def _shared_files(variables: PostgresServer, context: Context, pair: KeyPair) -> tuple[File, ...]:
    texts = {"ca.crt": pair.ca, "server.crt": pair.certificate, "server.key": pair.key}
    networks, superuser = variables.allowed_networks, variables.postgres_user
    lines = hba_lines(context.facts, networks, superuser=superuser)
    return (
        file(HBA, OnChange.RELOAD, lines=lines),
        *tls_files(TLS, texts, owner="postgres", service="postgres"),
    )


def _membership(
    variables: PostgresServer, address: str, pair: KeyPair, password: str
) -> StandaloneServer:
    user, database = variables.postgres_user, variables.postgres_database
    databases = () if database == "postgres" else (Database(database, user),)
    return StandaloneServer(
        name=variables.name,
        address=address,
        ca=pair.ca,
        access=PostgresAccess((Role(user, password, superuser=True),), databases),
        port=PORT,
    )
