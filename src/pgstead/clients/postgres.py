"""PostgreSQL over TLS, verified in full; psycopg is imported on the first connection."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, LiteralString

from pgstead.clients import scram
from pgstead.clients.tls import pem_file
from pgstead.errors import ClientError, NotReady
from pgstead.waiting import wait

if TYPE_CHECKING:
    import psycopg

CONNECT_SECONDS = 3
STATEMENT_SECONDS = 30
INVALID_AUTHORIZATION = ("28P01", "28000")
DUPLICATE = ("42710", "42P04")
STARTING = ("is starting up", "not yet accepting connections", "in recovery mode")
"""What a server says that will take connections in a moment (libpq gives no SQLSTATE here)."""
AUTO_CONF = "postgresql.auto.conf"


class WrongPassword(ClientError):
    """The server refused the user or its password."""


@dataclass(frozen=True, slots=True)
class Login:
    """Where and as whom to connect. `ca` is PEM."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    ca: str = field(repr=False)
    database: str = "postgres"

    def __str__(self) -> str:
        """For errors: everything but the secrets."""
        return f"postgresql://{self.user}@{self.host}:{self.port}/{self.database}"


@dataclass(frozen=True, slots=True)
class RoleSeen:
    """A role as the server knows it; `verifier` None means that it has no SCRAM password."""

    name: str
    login: bool
    superuser: bool
    replication: bool
    verifier: scram.Verifier | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Setting:
    """A parameter: `value` in `unit` (None: plain), `context` as in pg_settings."""

    name: str
    value: str
    unit: str | None
    context: str
    pending_restart: bool


@dataclass(frozen=True, slots=True)
class Slot:
    """A replication slot."""

    name: str
    active: bool


class PostgresClient:
    """One connection, each statement committed by itself unless in a `transaction`."""

    def __init__(self, connection: psycopg.Connection[Any], login: Login) -> None:
        self._connection = connection
        self._login = login

    def rows(self, sql: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        """The rows that a statement gives; none for one that gives no rows."""
        import psycopg  # noqa: PLC0415 - heavy, and loaded by now

        try:
            cursor = self._connection.execute(sql, values or None)
            return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            raise self._error(error) from None

    @contextmanager
    def transaction(self, *, flush: bool = True) -> Iterator[None]:
        """Commit what is done within together, or nothing of it; raises `ClientError`.

        Without `flush` the commit waits neither for the disk nor for a standby: for what a
        later commit of the same session makes durable.
        """
        import psycopg  # noqa: PLC0415 - heavy, and loaded by now

        try:
            with self._connection.transaction():
                if not flush:
                    self._connection.execute("set local synchronous_commit to off")
                yield
        except psycopg.Error as error:
            raise self._error(error) from None

    def in_recovery(self) -> bool:
        """Whether this server is a standby."""
        return bool(self.rows("select pg_catalog.pg_is_in_recovery()")[0][0])

    def settings(self, names: Collection[str]) -> dict[str, Setting]:
        """The named parameters that the server knows."""
        rows = self.rows(
            "select name, setting, unit, context, pending_restart"
            " from pg_catalog.pg_settings where name = any(%s)",
            list(names),
        )
        return {row[0]: Setting(*row) for row in rows}

    def contexts(self) -> dict[str, str]:
        """Every parameter's context: `postmaster` ones take a restart."""
        return dict(self.rows("select name, context from pg_catalog.pg_settings"))

    def overrides(self) -> dict[str, str]:
        """What ALTER SYSTEM set by hand: it goes before every configuration file."""
        return dict(
            self.rows(
                "select distinct on (name) name, setting from pg_catalog.pg_file_settings"
                " where sourcefile like %s and name is not null order by name, seqno desc",
                f"%/{AUTO_CONF}",
            )
        )

    def roles(self) -> dict[str, RoleSeen]:
        """All roles but PostgreSQL's own; a superuser sees the passwords' verifiers."""
        rows = self.rows(
            "select rolname, rolcanlogin, rolsuper, rolreplication, rolpassword"
            " from pg_catalog.pg_authid where rolname !~ '^pg_'"
        )
        return {
            row[0]: RoleSeen(row[0], row[1], row[2], row[3], scram.parse(row[4] or ""))
            for row in rows
        }

    def databases(self) -> dict[str, str]:
        """The databases and their owners."""
        rows = self.rows(
            "select datname, pg_catalog.pg_get_userbyid(datdba) from pg_catalog.pg_database"
            " where not datistemplate"
        )
        return dict(rows)

    def slots(self) -> tuple[Slot, ...]:
        """The replication slots."""
        rows = self.rows("select slot_name, active from pg_catalog.pg_replication_slots")
        return tuple(Slot(*row) for row in rows)

    def streaming(self) -> tuple[str, ...]:
        """The application names of the standbys that stream from here."""
        rows = self.rows(
            "select application_name from pg_catalog.pg_stat_replication"
            " where state = 'streaming' order by 1"
        )
        return tuple(row[0] for row in rows)

    def commit_locally(self) -> None:
        """Wait for no standby from now on: what is committed may be lost with this server."""
        self.rows("set synchronous_commit to local")

    def create_role(self, name: str) -> None:
        """Create a role without rights, unless it is there."""
        with suppress(_Duplicate), self.transaction():
            self._execute("create role {}", name)

    def alter_role(
        self, name: str, *, login: bool = True, superuser: bool = False, replication: bool = False
    ) -> None:
        """Set what a role may do."""
        words = [
            "login" if login else "nologin",
            "superuser" if superuser else "nosuperuser",
            "replication" if replication else "noreplication",
        ]
        self._execute("alter role {} " + " ".join(words), name)

    def set_password(self, name: str, password: str) -> None:
        """Set a role's password; only a verifier of it leaves this process."""
        import psycopg.sql  # noqa: PLC0415 - heavy, and loaded by now

        verifier = str(scram.make(password, os.urandom(16)))
        statement = psycopg.sql.SQL("alter role {} password {}").format(
            psycopg.sql.Identifier(name), psycopg.sql.Literal(verifier)
        )
        try:
            # A server may log statements; verifiers have no place in a log.
            with self._connection.transaction():
                self._connection.execute("set local log_statement = 'none'")
                self._connection.execute("set local log_min_duration_statement = -1")
                self._connection.execute("set local log_min_error_statement = 'panic'")
                self._connection.execute(statement)
        except psycopg.Error as error:
            raise self._error(error) from None

    def create_database(self, name: str, owner: str) -> None:
        """Create a database, unless it is there."""
        with suppress(_Duplicate):
            self._execute("create database {} owner {}", name, owner)

    def alter_database_owner(self, name: str, owner: str) -> None:
        """Give a database to another role."""
        self._execute("alter database {} owner to {}", name, owner)

    def reset_override(self, name: str) -> None:
        """Take back an ALTER SYSTEM; `reload` brings it into effect."""
        self._execute("alter system reset {}", name)

    def pending_restarts(self) -> list[str]:
        """The parameters that were changed and wait for a restart."""
        return list(self._pending())

    def effective_restarts(self) -> list[str]:
        """Those of `pending_restarts` that the same command line, run again, would change.

        PostgreSQL counts what its files say, though the command line overrides them.
        """
        return [name for name, source in self._pending().items() if source != "command line"]

    def _pending(self) -> dict[str, str]:
        rows = self.rows(
            "select name, source from pg_catalog.pg_settings where pending_restart order by name"
        )
        return dict(rows)

    def grant_execute(self, function: LiteralString, role: str) -> None:
        """Let a role call a function, given with its arguments' types."""
        self._execute(f"grant execute on function {function} to {{}}", role)

    def loaded_at(self) -> datetime:
        """When the server read its configuration last, by its own clock."""
        found = self.rows("select pg_catalog.pg_conf_load_time()")[0][0]
        assert isinstance(found, datetime)  # noqa: S101 - PostgreSQL's own type
        return found

    def reload(self) -> None:
        """Have the server read its configuration again."""
        self.rows("select pg_catalog.pg_reload_conf()")

    def _execute(self, statement: LiteralString, *names: str) -> None:
        """Run a statement with identifiers in the place of its `{}`."""
        import psycopg.sql  # noqa: PLC0415 - heavy, and loaded by now

        identifiers = [psycopg.sql.Identifier(*_parts(statement, name)) for name in names]
        try:
            self._connection.execute(psycopg.sql.SQL(statement).format(*identifiers))
        except psycopg.Error as error:
            raise self._error(error) from None

    def _error(self, error: psycopg.Error) -> ClientError:
        kind = _Duplicate if error.sqlstate in DUPLICATE else ClientError
        return kind(f"{self._login}: {_first_line(error)}")


class _Duplicate(ClientError):
    """What should be created exists."""


def prepare() -> None:
    """Load what the first connection needs, a tenth of a second's work, while nothing waits."""
    import psycopg.sql  # noqa: F401, PLC0415 - that is the work


@contextmanager
def connect(login: Login, *, seconds: int = CONNECT_SECONDS) -> Iterator[PostgresClient]:
    """A connection for the length of a `with`.

    Raises `WrongPassword` if the server refuses the login, `ClientError` if it cannot be
    reached, its certificate is not the one expected, or a statement fails.
    """
    with pem_file(login.ca) as ca, _opened(login, ca, seconds) as connection:
        yield PostgresClient(connection, login)


def answers(login: Login) -> bool:
    """Whether it takes connections; one that refuses a password does."""
    try:
        with connect(login):
            return True
    except WrongPassword:
        return True
    except ClientError:
        return False


def _opened(login: Login, ca: str, seconds: int) -> psycopg.Connection[Any]:
    """A server that listens and is still starting up is asked again, within the same time."""
    import psycopg  # noqa: PLC0415 - heavy: a tenth of a second

    said: list[str] = []

    def attempt() -> psycopg.Connection[Any] | None:
        try:
            return psycopg.connect(
                host=login.host,
                port=login.port,
                user=login.user,
                password=login.password,
                dbname=login.database,
                sslmode="verify-full",
                sslrootcert=ca,
                sslcert="/nonexistent",  # never a certificate that lies in the home folder
                connect_timeout=seconds,
                application_name="pgstead",
                options=f"-c statement_timeout={STATEMENT_SECONDS}s",
                autocommit=True,
            )
        except psycopg.OperationalError as error:
            if not any(words in str(error) for words in STARTING):
                raise _refusal(login, error) from None
            said[:] = [_first_line(error)]
            return None

    try:
        return wait(attempt, deadline=seconds, what=f"{login} to start")
    except NotReady:
        raise ClientError(f"{login}: {said[0]}") from None


def _refusal(login: Login, error: psycopg.OperationalError) -> ClientError:
    said = _first_line(error)
    wrong = (error.sqlstate or "") in INVALID_AUTHORIZATION or "authentication failed" in str(error)
    return (WrongPassword if wrong else ClientError)(f"{login}: {said}")


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), repr(error))


def _parts(statement: str, name: str) -> list[str]:
    """An extension's parameter (`a.b`) has two identifiers; other names may hold any dot."""
    return name.split(".") if statement.startswith("alter system") else [name]


def matching(verifier: scram.Verifier | None, passwords: Mapping[str, str | None]) -> str | None:
    """The key of the first password from which the verifier was made."""
    if verifier is None:
        return None
    for key, password in passwords.items():
        if password is not None and verifier.matches(password):
            return key
    return None
