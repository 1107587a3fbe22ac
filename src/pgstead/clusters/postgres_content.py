"""What a PostgreSQL should hold, against what it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pgstead.clients.postgres import PostgresClient, RoleSeen, matching
from pgstead.engine.resource import Attribute, Value
from pgstead.machine import OnChange
from pgstead.membership import PostgresAccess, Role
from pgstead.platforms.base import Digest

OTHER = "unknown to pgstead"
NONE = "none"
ANY = "*"
"""Stands for all parameters of a server that could not be asked."""
REWIND_FUNCTIONS = (
    "pg_catalog.pg_ls_dir(text, boolean, boolean)",
    "pg_catalog.pg_stat_file(text, boolean)",
    "pg_catalog.pg_read_binary_file(text)",
    "pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean)",
)
"""What pg_rewind calls on the server it copies from (PostgreSQL's documentation of it)."""


def password_key(role: str) -> str:
    """The attribute that stands for a role's password."""
    return f"password:{role}"


def guc_key(machine: str, name: str) -> str:
    """The attribute, never wanted, of a parameter set by ALTER SYSTEM."""
    return f"guc:{machine}:{name}"


def label(key: str) -> str:
    """What a key that tells of a server's settings is, in words."""
    _, machine, name = key.split(":", 2)
    return f"ALTER SYSTEM SET {name} on {machine}" if name != ANY else f"settings of {machine}"


def restart_key(machine: str) -> str:
    """The attribute that tells what waits for a restart of a standalone server."""
    return f"waiting_for_restart:{machine}"


def is_guc(key: str) -> bool:
    """Whether a key tells of a parameter set by ALTER SYSTEM."""
    return key.startswith("guc:")


def is_by_hand(key: str) -> bool:
    """Whether a key tells of a server's settings and not of its content."""
    return key.startswith(("guc:", "waiting_for_restart:"))


def attributes(
    access: PostgresAccess, digest: Digest, *, alone: str | None = None
) -> dict[str, Attribute]:
    """Roles with passwords and rights, and databases.

    `alone` is the machine of a server whose restarts nobody else looks after.
    """
    found: dict[str, Attribute] = {}
    for role in access.roles:
        label = f"password of role {role.name}"
        found[password_key(role.name)] = Attribute(
            digest(role.password), OnChange.RELOAD, label, hidden=True
        )
        if not role.managed_by_patroni:
            label = f"rights of role {role.name}"
            found[f"rights:{role.name}"] = Attribute(_rights(role), OnChange.RELOAD, label)
    for database in access.databases:
        label = f"owner of database {database.name}"
        found[f"database:{database.name}"] = Attribute(database.owner, OnChange.RELOAD, label)
    if alone is not None:
        label = "parameters that wait for a restart"
        found[restart_key(alone)] = Attribute(NONE, OnChange.RESTART, label)
    return found


def _rights(role: Role | RoleSeen) -> str:
    login = role.login if isinstance(role, RoleSeen) else True
    rights = {"login": login, "superuser": role.superuser, "replication": role.replication}
    return " ".join(name for name, granted in rights.items() if granted)


def seen(
    server: PostgresClient,
    access: PostgresAccess,
    digest: Digest,
    earlier: Callable[[str], tuple[str, ...]],
) -> Iterator[tuple[str, Value]]:
    """The attributes' values as the server has them; `earlier` gives a role's former passwords.

    A password is told from its verifier, so that nobody needs to log in with it.
    """
    roles, databases = server.roles(), server.databases()
    for role in access.roles:
        there = roles.get(role.name)
        if there is None:
            continue
        known = {each: each for each in (role.password, *earlier(role.name))}
        which = matching(there.verifier, known)
        yield password_key(role.name), digest(which) if which else OTHER
        if not role.managed_by_patroni:
            yield f"rights:{role.name}", _rights(there)
    for database in access.databases:
        if database.name in databases:
            yield f"database:{database.name}", databases[database.name]


def by_hand(server: PostgresClient, machine: str) -> Iterator[tuple[str, Value]]:
    """What ALTER SYSTEM set on a server."""
    for name, value in server.overrides().items():
        yield guc_key(machine, name), value


def converge(server: PostgresClient, access: PostgresAccess) -> None:
    """Bring roles, passwords and databases to what they should be; the superuser comes last.

    All roles are one commit: each waits for a disk, and maybe for a standby. Creating a
    database always does so (PostgreSQL forces it), for the roles before it as well.
    """
    roles, databases = server.roles(), server.databases()
    missing = [one for one in access.databases if one.name not in databases]
    with server.transaction(flush=not missing):
        for role in reversed(access.roles):
            _role(server, role, roles.get(role.name))
    for database in access.databases:
        if database in missing:
            server.create_database(database.name, database.owner)
        elif databases[database.name] != database.owner:
            server.alter_database_owner(database.name, database.owner)


def _role(server: PostgresClient, role: Role, there: RoleSeen | None) -> None:
    if there is None:
        server.create_role(role.name)
    if there is None or (not role.managed_by_patroni and _rights(there) != _rights(role)):
        server.alter_role(role.name, superuser=role.superuser, replication=role.replication)
    if there is None or not matching(there.verifier, {"wanted": role.password}):
        server.set_password(role.name, role.password)
    if there is None and role.managed_by_patroni and not (role.superuser or role.replication):
        for function in REWIND_FUNCTIONS:
            server.grant_execute(function, role.name)
