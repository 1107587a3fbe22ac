"""Connect to what a stack runs: URIs, the files they point to, and psql."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from pgstead.clusters.postgres import KIND as POSTGRES
from pgstead.clusters.postgres_content import password_key
from pgstead.connection import Connection, Endpoint, Target
from pgstead.errors import MissingSoftware, SpecError
from pgstead.machine import Machine
from pgstead.membership import LoadBalancer, PatroniMember, PostgresAccess, Role, StandaloneServer
from pgstead.operations.session import Session, open_session


def connections(session: Session, *, admin: bool = False) -> dict[Target, Connection]:
    """How to reach each endpoint of the stack's PostgreSQL.

    Writes the authority's certificate and the password file (0600) into the stack's own
    folder. Raises `SpecError` if the stack has no PostgreSQL, or more than one.
    """
    address, access, ca, endpoints = _postgres(session.machines)
    role, database = _identity(access, admin=admin)
    password = _applied(session, address, role)
    folder = session.client_folder
    made = {
        target: Connection(
            endpoint,
            role.name,
            database,
            folder / "ca.crt",
            folder / f"{role.name}.pgpass",
            password,
        )
        for target, endpoint in endpoints.items()
    }
    _write(folder / "ca.crt", ca)
    lines = "".join(connection.passfile_lines() for connection in made.values())
    _write(folder / f"{role.name}.pgpass", lines)
    return made


def reachable(session: Session) -> dict[Target, Connection]:
    """The connections of a stack that has just one PostgreSQL that runs; else none."""
    if session.platform.kind == "memory":
        return {}
    try:
        return connections(session)
    except SpecError:
        return {}


def _postgres(
    machines: Iterable[Machine],
) -> tuple[str, PostgresAccess, str, dict[Target, Endpoint]]:
    """The address of its resource, its roles, its authority, and where it is reached."""
    members = [m.membership for m in machines]
    patroni = [m for m in members if isinstance(m, PatroniMember)]
    single = [m for m in members if isinstance(m, StandaloneServer)]
    found = sorted({m.scope for m in patroni} | {m.name for m in single})
    if len(found) != 1:
        what = f"several: {', '.join(found)}" if found else "none"
        raise SpecError(
            f"one PostgreSQL is needed to connect to, and the stack has {what}",
            hint="put each into a stack file of its own",
        )
    address = f"{POSTGRES}.{found[0]}"
    if single:
        server = single[0]
        here = Endpoint([(server.address, server.port)])
        return address, server.access, server.ca, {Target.PRIMARY: here}
    balancers = [m for m in members if isinstance(m, LoadBalancer)]
    first = patroni[0]
    return address, first.access, first.operator.ca, _endpoints(patroni, balancers)


def _endpoints(
    members: Sequence[PatroniMember], balancers: Sequence[LoadBalancer]
) -> dict[Target, Endpoint]:
    direct = [(member.address, member.port) for member in members]
    options = members[0].client
    if not balancers:
        return {
            Target.PRIMARY: Endpoint(direct, "primary", options),
            Target.REPLICA: Endpoint(direct, "prefer-standby", options),
        }
    replicas = [(b.address, b.read_only_port) for b in balancers if b.read_only_port]
    primaries = [(b.address, b.port) for b in balancers]
    endpoints = {Target.PRIMARY: Endpoint(primaries, options=options)}
    if replicas:
        endpoints[Target.REPLICA] = Endpoint(replicas, options=options)
    return endpoints


def _identity(access: PostgresAccess, *, admin: bool) -> tuple[Role, str]:
    """The role to connect as, and its database: the application's, or the superuser."""
    if not admin:
        for database in access.databases:
            for role in access.roles:
                if role.name == database.owner:
                    return role, database.name
    return access.superuser, "postgres"


def _applied(session: Session, address: str, role: Role) -> str:
    """The role's password that the server has: the stack file may have another one by now.

    After an interruption that is not known, and it is the stack file's.
    """
    key = password_key(role.name)
    recorded = session.state.recorded().get(address)
    applied = recorded.values.get(key) if recorded else None
    for password in session.materials.server_passwords(f"{address}/{key}"):
        if session.materials.digest(password) == applied:
            return password
    return role.password


def _write(file: Path, text: str) -> None:
    """Whole or not at all, and never readable by others: libpq ignores a password file that is."""
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(text)
    draft.replace(file)


def dsn(file: Path, target: Target, *, admin: bool, with_password: bool) -> str:
    """A libpq URI. Raises `SpecError` if the stack has no such endpoint or never came up."""
    with open_session(file) as session:
        return _chosen(session, target, admin=admin).uri(with_password=with_password)


def _chosen(session: Session, target: Target, *, admin: bool) -> Connection:
    session.must_exist()
    found = connections(session, admin=admin)
    if target not in found:
        raise SpecError(
            f"{session.stack.name} has no read-only endpoint",
            hint="give its load balancer `read_only: {enabled: true}`",
        )
    return found[target]


def psql(file: Path, target: Target, arguments: Sequence[str], *, admin: bool) -> None:
    """Become psql, connected. Raises `MissingSoftware` where there is none."""
    with open_session(file) as session:
        uri = _chosen(session, target, admin=admin).uri()
    program = shutil.which("psql") or _packaged()
    sys.stdout.flush()
    os.execv(program, ["psql", uri, *arguments])  # noqa: S606 - an argument list, no shell


def _packaged() -> str:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/psql"))
    if not found:
        raise MissingSoftware(
            "psql is not installed", hint="apt-get install postgresql-client, or pgstead doctor"
        )
    return str(found[-1])
