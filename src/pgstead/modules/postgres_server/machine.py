"""A PostgreSQL server as a machine."""

from __future__ import annotations

from pgstead.certificates import KeyPair
from pgstead.machine import (
    Command,
    Directory,
    File,
    Machine,
    OnChange,
    Package,
    Probe,
    Service,
    Software,
    User,
    binary,
    path,
)
from pgstead.membership import Database, PostgresAccess, Role, StandaloneServer
from pgstead.modules.base import Context
from pgstead.modules.parts.certificates import issue, tls_files
from pgstead.modules.parts.chrony import chrony_software
from pgstead.modules.parts.hba import hba_lines
from pgstead.modules.parts.model import reveal
from pgstead.modules.parts.software import combine, require_major
from pgstead.modules.postgres_server.cautions import cautions
from pgstead.modules.postgres_server.parameters import needs_restart, parse_parameters
from pgstead.modules.postgres_server.variables import PostgresServer
from pgstead.render import render

__all__ = ["machine"]

PACKAGE = "pgstead.modules.postgres_server"
FOLDER = "/etc/postgresql"
TLS = f"{FOLDER}/tls"
CONFIGURATION = f"{FOLDER}/postgresql.conf"
HBA = f"{FOLDER}/pg_hba.conf"
PASSWORD = f"{FOLDER}/initdb-password"
HOME = "/var/lib/postgresql"
DATA = f"{HOME}/data"
SOCKETS = "/run/postgresql"
PORT = 5432


def machine(variables: PostgresServer, context: Context) -> Machine:
    """The machine of a PostgreSQL server.

    Raises `MissingSoftware` where another version than the wanted one is there.
    """
    address = context.materials.address(variables.name, variables.ip)
    pair = _server_pair(variables, context, address)
    password = _password(variables, context)
    software = combine(
        _packages(variables, context),
        Software(
            users=(User("postgres"),),
            directories=_directories(),
            files=_files(variables, context, address, pair, password),
            setup=_setup(variables),
            services=(_service(),),
        ),
        chrony_software(variables.chrony, install=variables.install_dependencies),
    )
    return Machine(
        name=variables.name,
        module=context.module,
        address=address,
        software=software,
        membership=_membership(variables, address, pair, password),
        warnings=cautions(variables, context),
    )


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


def _packages(variables: PostgresServer, context: Context) -> Software:
    """An image's tag is no more than a wish where the platform's own servers run."""
    wanted = variables.version if context.facts.shares_kernel else variables.wanted_version
    major = require_major(context, wanted)
    if not variables.install_dependencies:
        return Software()
    return Software(packages=(Package("postgresql" if major is None else f"postgresql-{major}"),))


def _directories() -> tuple[Directory, ...]:
    return (
        Directory(FOLDER, mode=0o755, owner="postgres"),
        Directory(TLS, mode=0o750, owner="postgres"),
        Directory(SOCKETS, mode=0o755, owner="postgres"),
        Directory(HOME, mode=0o755, owner="postgres"),
        Directory(DATA, mode=0o700, owner="postgres", data=True),
    )


def _files(
    variables: PostgresServer, context: Context, address: str, pair: KeyPair, password: str
) -> tuple[File, ...]:
    parameters = parse_parameters(variables.postgres_params).items()
    restart = [(name, value) for name, value in parameters if needs_restart(name)]
    reload = [(name, value) for name, value in parameters if not needs_restart(name)]
    texts = {"ca.crt": pair.ca, "server.crt": pair.certificate, "server.key": pair.key}
    return (
        _file(CONFIGURATION, OnChange.RESTART, **_places(), address=address, parameters=restart),
        _file(f"{FOLDER}/reload.conf", OnChange.RELOAD, tls=_tls(), parameters=reload),
        _file(
            HBA,
            OnChange.RELOAD,
            lines=hba_lines(
                context.facts, variables.allowed_networks, superuser=variables.postgres_user
            ),
        ),
        # Read by initdb alone; later passwords go to the server itself.
        File(
            PASSWORD,
            f"{password}\n",
            mode=0o600,
            owner="postgres",
            secret=True,
            on_change=OnChange.CREATE_ONLY,
        ),
        *tls_files(TLS, texts, owner="postgres", service="postgres"),
    )


def _file(place: str, on_change: OnChange, **values: object) -> File:
    template = f"{place.rpartition('/')[2]}.j2"
    return File(
        place,
        render(PACKAGE, template, **values),
        mode=0o640,
        owner="postgres",
        on_change=on_change,
        service="postgres",
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


def _service() -> Service:
    """INT is PostgreSQL's fast shutdown: sessions are ended, nothing is lost."""
    return Service(
        name="postgres",
        command=(
            binary("postgres"),
            "-D",
            path(DATA),
            "-c",
            f"config_file={path(CONFIGURATION)}",
        ),
        user="postgres",
        environment={"LANG": "C.UTF-8"},
        reload_signal="HUP",
        stop_signal="INT",
        stop_seconds=60,
        ready=Probe(PORT),
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
