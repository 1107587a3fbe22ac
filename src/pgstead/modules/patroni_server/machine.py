"""A Patroni member as a machine."""

from __future__ import annotations

from collections.abc import Mapping

from pgstead.errors import MissingSoftware
from pgstead.machine import (
    Command,
    Directory,
    Disk,
    File,
    Machine,
    OnChange,
    Package,
    Probe,
    Service,
    Software,
    User,
    binary,
    directory_of,
    path,
)
from pgstead.membership import PatroniMember
from pgstead.modules.base import Context
from pgstead.modules.parts.common import common_software
from pgstead.modules.parts.fluentbit import fluentbit_software
from pgstead.modules.parts.guest import guest
from pgstead.modules.parts.hba import hba_lines
from pgstead.modules.parts.model import reveal
from pgstead.modules.parts.postgresql_major import Data, Major, installed_major
from pgstead.modules.parts.postgresql_packages import postgresql_packages
from pgstead.modules.parts.scripts import DONE, folders, script, step
from pgstead.modules.parts.software import combine, fact
from pgstead.modules.patroni_server.cautions import cautions
from pgstead.modules.patroni_server.credentials import FOLDER as TLS
from pgstead.modules.patroni_server.credentials import Credentials, credentials
from pgstead.modules.patroni_server.settings import access, dynamic, shared
from pgstead.modules.patroni_server.variables import PatroniServer
from pgstead.render import render

__all__ = ["machine", "shared"]

FOLDER = "/etc/patroni"
"""Patroni reads all of its *.yml files, in the alphabet's order, as one configuration."""

HOME = "/var/lib/postgresql"
"""Where a data disk is mounted: PostgreSQL wants a data folder that it can rename."""

DATA = f"{HOME}/data"
SOCKETS = "/run/postgresql"
STATE = "/var/lib/patroni"
PORT = 5432
API_PORT = 4443
OLDEST = (4, 0)
PACKAGE = "pgstead.modules.patroni_server"


STAGGER = 0.5
"""Seconds between the starts of members, so that the first has the initialize key before the
others ask for it: one that tried and lost sometimes waits for `retry_timeout` before it goes
on (seen with Patroni 4.1.5 on etcd 3.4). The others have nothing to do until then anyway."""


def machine(variables: PatroniServer, context: Context) -> Machine:
    """The machine of a Patroni member.

    Raises `MissingSoftware` for a Patroni or PostgreSQL that does not do.
    """
    _require_patroni(context)
    address = context.materials.address(variables.name, variables.wanted_ip)
    tls = credentials(variables, context, address)
    owner = f"patroni.{variables.patroni.scope}"
    data = Data(owner, variables.name, DATA)
    major = installed_major(context, variables.postgres.version, data)
    software = combine(
        _packages(variables, context, major),
        Software(
            users=(User("postgres"),),
            directories=_directories(context),
            files=(*_files(variables, context, address, tls), *tls.files),
            services=(_service(variables, context),),
        ),
        _watchdog(variables, context),
        common_software(variables, context, address),
        fluentbit_software(
            variables.fluentbit,
            variables.fluentbit_dynamic_config,
            context,
            variables.name,
            service="patroni",
            install=variables.install_dependencies,
        ),
    )
    watchdog = variables.patroni.watchdog
    off = variables.patroni.watchdog_mode == "off"
    return Machine(
        name=variables.name,
        module=context.module,
        address=address,
        software=software,
        membership=_membership(variables, address, tls),
        warnings=cautions(variables, context),
        guest=guest(
            variables,
            context,
            address,
            data=Disk("data", mount=HOME, owner="postgres"),
            watchdog=watchdog if watchdog == "i6300esb" and not off else None,
        ),
        postgresql=major.runs,
        refused=major.refused,
    )


def _require_patroni(context: Context) -> None:
    version = fact(context, "patroni")
    if version is not None and version < OLDEST:
        text = context.facts.versions["patroni"]
        raise MissingSoftware(
            f"modules.{context.module}: Patroni {text} is too old, 4.0 or newer is needed",
            hint="Install it from PyPI (patroni[etcd3,psycopg3]) or PostgreSQL's apt repository.",
        )


def _packages(variables: PatroniServer, context: Context, major: Major) -> Software:
    patroni = Package("patroni", version=variables.patroni_version, service="patroni")
    alone = _has_venv(variables, context)
    return combine(
        postgresql_packages(
            context,
            variables.package_source,
            *((major.package,) if alone else (major.package, patroni)),
            install=variables.install_dependencies,
        ),
        _venv(variables.patroni_version) if alone else Software(),
    )


def _has_venv(variables: PatroniServer, context: Context) -> bool:
    """Whether Patroni is installed from PyPI; an image holds it already."""
    installed = variables.install_dependencies and not context.facts.shares_kernel
    return installed and variables.patroni_install == "venv"


def _venv(version: str | None) -> Software:
    """Patroni from PyPI; another version is another folder."""
    folder = _venv_folder(version)
    pip = (path(f"{folder}/bin/pip"), "install", "--no-input", "--disable-pip-version-check")
    wanted = f"patroni[etcd3,psycopg3]{f'=={version}' if version else '>=4.0.4'}"
    return Software(
        packages=(Package("python3-venv"),),
        directories=(Directory("/opt/patroni", mode=0o755),),
        setup=(
            Command(
                "patroni-venv",
                ("/usr/bin/python3", "-m", "venv", path(folder)),
                creates=f"{folder}/bin/pip",
            ),
            Command("patroni", (*pip, wanted), creates=f"{folder}/bin/patroni"),
        ),
    )


def _venv_folder(version: str | None) -> str:
    return f"/opt/patroni/{version or 'newest'}"


def _program(variables: PatroniServer, context: Context) -> str:
    if _has_venv(variables, context):
        return path(f"{_venv_folder(variables.patroni_version)}/bin/patroni")
    return binary("patroni")


def _directories(context: Context) -> tuple[Directory, ...]:
    home = Directory(HOME, mode=0o755, owner="postgres")
    return (
        *(() if context.facts.shares_kernel else (home,)),
        Directory(FOLDER, mode=0o750, owner="postgres"),
        Directory(TLS, mode=0o750, owner="postgres"),
        Directory(STATE, mode=0o700, owner="postgres"),
        Directory(SOCKETS, mode=0o755, owner="postgres"),
        Directory(DATA, mode=0o700, owner="postgres", data=True),
    )


def _files(
    variables: PatroniServer, context: Context, address: str, tls: Credentials
) -> tuple[File, ...]:
    identity = {
        "name": variables.member,
        "scope": variables.patroni.scope,
        "namespace": variables.patroni.namespace,
    }
    bootstrap = {"dcs": dynamic(variables), "initdb": _initdb(variables)}
    local = _local_values(variables, context, address, tls)
    return (
        _file("bootstrap.yml", OnChange.CREATE_ONLY, bootstrap),
        _file("identity.yml", OnChange.REFUSE, identity),
        _file("patroni.yml", OnChange.RELOAD, local, secret=True),
    )


def _file(
    name: str, on_change: OnChange, values: Mapping[str, object], *, secret: bool = False
) -> File:
    return File(
        path=f"{FOLDER}/{name}",
        content=render(PACKAGE, f"{name}.j2", **values),
        mode=0o600 if secret else 0o640,
        owner="postgres",
        secret=secret,
        on_change=on_change,
        service="patroni",
    )


def _local_values(
    variables: PatroniServer, context: Context, address: str, tls: Credentials
) -> dict[str, object]:
    patroni = variables.patroni
    return {
        "api": f"{address}:{API_PORT}",
        "server": f"{address}:{PORT}",
        "tls": tls.paths,
        "etcd": variables.etcd,
        "etcd_password": reveal(variables.etcd.password),
        "bin": directory_of("postgresql"),
        "data": path(DATA),
        "pgpass": path(f"{STATE}/pgpass"),
        "sockets": path(SOCKETS),
        "basebackup": _basebackup(variables),
        "disposable": patroni.is_synchronous,
        "pg_hba": _hba(variables, context),
        "users": _users(variables),
        "watchdog": _has_watchdog(variables, context),
        "watchdog_mode": patroni.watchdog_mode,
        "safety_margin": patroni.watchdog_safety_margin,
    }


def _initdb(variables: PatroniServer) -> list[object]:
    options: list[object] = [
        {"encoding": "UTF8"},
        {"locale": "C"},
        {"auth-local": "scram-sha-256"},
        {"auth-host": "scram-sha-256"},
        "data-checksums",
    ]
    return [*options, "no-sync"] if variables.patroni.bootstrap_without_sync else options


def _basebackup(variables: PatroniServer) -> list[object]:
    options: list[object] = [{"checkpoint": "fast"}]
    return [*options, "no-sync"] if variables.patroni.bootstrap_without_sync else options


def _hba(variables: PatroniServer, context: Context) -> list[str]:
    postgres = variables.postgres
    if postgres.pg_hba:
        return list(postgres.pg_hba)
    return hba_lines(context.facts, postgres.allowed_networks, replication="replicator")


def _users(variables: PatroniServer) -> list[tuple[str, str, str]]:
    kinds = {"postgres": "superuser", "replicator": "replication", "rewind": "rewind"}
    return [
        (kinds[role.name], role.name, role.password)
        for role in access(variables).roles
        if role.managed_by_patroni
    ]


def _service(variables: PatroniServer, context: Context) -> Service:
    return Service(
        name="patroni",
        command=(_program(variables, context), path(FOLDER)),
        user="postgres",
        environment={"LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"},
        reload_signal="HUP",
        stop_seconds=60,
        ready=Probe(API_PORT),
        stagger=STAGGER,
        # As in Patroni's own unit: PostgreSQL serves on while Patroni is down for a moment.
        spares_children=True,
    )


def _has_watchdog(variables: PatroniServer, context: Context) -> bool:
    facts, patroni = context.facts, variables.patroni
    wanted = "off" not in (patroni.watchdog, patroni.watchdog_mode)
    return wanted and facts.has_watchdog and not facts.shares_kernel


def _watchdog(variables: PatroniServer, context: Context) -> Software:
    """A watchdog, in the kernel or of the virtual machine, which Patroni's user may open."""
    if not _has_watchdog(variables, context):
        return Software()
    module = variables.patroni.watchdog
    rule = 'KERNEL=="watchdog", OWNER="postgres", MODE="0600"\n'
    return Software(
        directories=folders(),
        files=(
            File("/etc/modules-load.d/pgstead.conf", f"{module}\n", mode=0o644),
            File("/etc/udev/rules.d/61-pgstead-watchdog.rules", rule, mode=0o644),
            script(PACKAGE, "watchdog.j2", module=module, done=path(f"{DONE}/watchdog")),
        ),
        setup=(step("watchdog", creates=f"{DONE}/watchdog"),),
    )


def _membership(variables: PatroniServer, address: str, tls: Credentials) -> PatroniMember:
    return PatroniMember(
        scope=variables.patroni.scope,
        namespace=variables.patroni.namespace,
        name=variables.member,
        address=address,
        operator=tls.operator,
        settings=dynamic(variables),
        access=access(variables),
        api_port=API_PORT,
        port=PORT,
        client=variables.postgres.client.options,
        sync_path=DATA if variables.patroni.bootstrap_without_sync else None,
    )
