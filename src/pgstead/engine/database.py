"""The database that holds the state: SQLite by default, PostgreSQL for teams.

Everything runs in autocommit, one statement a write; what belongs together runs in an
explicit `transaction`. Errors come out as `StateError`, without passwords.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from pgstead.engine.database_errors import explain
from pgstead.errors import StateError

BUSY_SECONDS = 15
"""How long a write waits for another process's write to SQLite."""

CONNECT_SECONDS = 10
FOLDER = ".pgstead"

Parameters = Mapping[str, Any]


class Database:
    """An open database; safe to use from several threads.

    `where` names it in messages, without a password. `path` is SQLite's file, None for
    PostgreSQL and for a database in memory.
    """

    def __init__(self, url: str) -> None:
        """Raises `StateError` for a URL of another kind; connects at the first use."""
        self.kind: Literal["sqlite", "postgresql"]
        self.path: Path | None = None
        self._guard = threading.RLock()
        self._url = _parse(url)
        if self._url.get_backend_name() == "sqlite":
            self.kind = "sqlite"
            self.path = Path(self._url.database).absolute() if self._url.database else None
            self.where = str(self.path) if self.path else "memory"
            self._engine = _sqlite(self.path)
        else:
            self.kind = "postgresql"
            self.where = _without_password(self._url)
            self._engine = _postgresql(self._url)

    def exists(self) -> bool:
        """Whether SQLite's file is there; a PostgreSQL database is taken to exist."""
        if self.path is None:
            return self.kind == "postgresql"
        with self.explained():
            try:
                return self.path.stat().st_size > 0
            except FileNotFoundError:
                return False

    def make_file(self) -> None:
        """Make SQLite's file, for its owner alone, in a folder for its owner alone."""
        if self.path is None:
            return
        with self.explained():
            _make_folder(self.path.parent)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))

    def read(self, statement: sa.Select[Any], **parameters: Any) -> list[sa.Row[Any]]:
        """All rows of a query."""
        with self._guard, self.explained(), self._engine.connect() as connection:
            return list(connection.execute(statement, parameters).all())

    def write(self, statement: sa.Executable, **parameters: Any) -> sa.CursorResult[Any]:
        """Run one statement that changes rows; it is there for good when this returns."""
        with self._guard, self.explained(), self._engine.connect() as connection:
            return connection.execute(statement, parameters)

    def insert(self, statement: sa.Executable, **parameters: Any) -> int:
        """Insert one row; the number it was given."""
        with self._guard, self.explained(), self._engine.connect() as connection:
            key = connection.execute(statement, parameters).inserted_primary_key
            return int(key[0]) if key else 0

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection for several queries that need not agree with each other."""
        with self._guard, self.explained(), self._engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """All or nothing; other writers to SQLite wait until it ends."""
        begin = "BEGIN IMMEDIATE" if self.kind == "sqlite" else "BEGIN"
        with self._guard, self.explained(), self._engine.connect() as connection:
            connection.exec_driver_sql(begin)
            try:
                yield connection
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                # SQLite ends some failed transactions (a full disk) by itself.
                with contextlib.suppress(SQLAlchemyError):
                    connection.exec_driver_sql("ROLLBACK")
                raise

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Turn errors of the database and of the file system into `StateError`."""
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            # Not chained: a driver's own words may hold the password.
            raise explain(error, self.where, secret=self._secret()) from None

    def connect_alone(self, application: str) -> sa.Connection:
        """A connection to PostgreSQL outside the pool, known to the server by that name.

        A dead network shows within about ten seconds. Closing it really ends it.
        """
        options: dict[str, str | int] = {
            "application_name": application,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 2,
            "tcp_user_timeout": 10_000,
        }
        with self.explained():
            return _postgresql(self._url, pool=sa.NullPool, **options).connect()

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _secret(self) -> str | None:
        found = self._url.password or self._url.query.get("password")
        return str(found) if found else None


def _parse(url: str) -> sa.URL:
    hint = "use sqlite:////absolute/path or postgresql://user:password@host/database"
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite":
        # A path is taken as it is, since SQLAlchemy would end it at a question mark.
        return sa.URL.create("sqlite", database=unquote(rest.removeprefix("/")) or None)
    if scheme not in {"postgres", "postgresql", "postgresql+psycopg"}:
        raise StateError(f"the state cannot be kept at a URL of kind {scheme!r}", hint=hint)
    try:
        return sa.make_url(f"postgresql+psycopg://{rest}")
    except (ArgumentError, ValueError):
        raise StateError("the state's PostgreSQL URL cannot be read", hint=hint) from None


def _without_password(url: sa.URL) -> str:
    shown = url.set(drivername="postgresql", query={})
    return shown.render_as_string(hide_password=True)


def _sqlite(path: Path | None) -> sa.Engine:
    options: dict[str, Any] = {"check_same_thread": False, "timeout": BUSY_SECONDS}
    pool = sa.QueuePool if path else sa.StaticPool
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path) if path else None),
        poolclass=pool,
        connect_args=options,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
    )
    sa.event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    # With WAL, NORMAL loses no consistency, only the last writes of a machine that lost power;
    # a step whose end was lost is found done, or run again.
    connection.execute("PRAGMA synchronous = NORMAL")


def _postgresql(
    url: sa.URL, *, pool: type[sa.Pool] = sa.QueuePool, **options: str | int
) -> sa.Engine:
    defaults: dict[str, str | int] = {
        "connect_timeout": CONNECT_SECONDS,
        "application_name": "pgstead",
    }
    given = {key: value for key, value in url.query.items() if isinstance(value, str)}
    arguments: dict[str, Any] = {"pool_pre_ping": True} if pool is sa.QueuePool else {}
    return sa.create_engine(
        url,
        poolclass=pool,
        connect_args={**defaults, **given, **options},
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        **arguments,
    )


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ignore = folder / ".gitignore"
    if folder.name == FOLDER and not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
