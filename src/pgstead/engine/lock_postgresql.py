"""A session advisory lock on a connection of its own (PostgreSQL, "Advisory Locks").

The connection's application name says who holds it: other users may see that one of
`pg_stat_activity` without any privilege, unlike the time the connection began.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from pgstead.engine.database import Database
from pgstead.engine.lock import Holder, Lock

NAME_BYTES = 63
"""PostgreSQL cuts an application name after so many (NAMEDATALEN - 1)."""

_SEPARATOR = "|"
_TAKE = sa.text("SELECT pg_try_advisory_lock(:key)")
_RELEASE = sa.text("SELECT pg_advisory_unlock(:key)")
_HOLDERS = sa.text("""
SELECT l.pid, a.application_name, pg_backend_pid() AS mine FROM pg_locks l
LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND ((CAST(l.classid AS bigint) << 32) | CAST(l.objid AS bigint)) = :key
""")
_END = sa.text("SELECT pg_terminate_backend(:pid, 5000)")


class AdvisoryLocking:
    """The advisory lock of one stack in one database."""

    def __init__(self, database: Database, stack: str) -> None:
        self._database = database
        self._key = lock_key(stack)

    def take(self, holder: Holder) -> Lock | None:
        """The lock, held as long as its connection lives."""
        connection = self._database.connect_alone(_to_name(holder))
        try:
            taken = connection.execute(_TAKE, {"key": self._key}).scalar()
        except BaseException:
            connection.close()
            raise
        if taken:
            return AdvisoryLock(connection, self._key)
        connection.close()
        return None

    def holder(self) -> Holder | None:
        """Who holds it, from the connection's application name."""
        rows = self._rows()
        return _from_name(rows[0].application_name) if rows else None

    def is_free(self) -> bool:
        """Whether no session holds it."""
        return not self._rows()

    def force(self) -> None:
        """End the holder's connection. Raises `StateError` without the privilege to."""
        with self._database.reading() as connection:
            for row in self._rows():
                connection.execute(_END, {"pid": row.pid})

    def _rows(self) -> list[sa.Row[Any]]:
        with self._database.reading() as connection:
            return list(connection.execute(_HOLDERS, {"key": self._key}).all())


class AdvisoryLock:
    """A lock that its connection holds."""

    def __init__(self, connection: sa.Connection, key: int) -> None:
        self._connection = connection
        self._key = key

    def still_held(self) -> bool:
        """Ask the server; a lost connection is a lost lock."""
        try:
            rows = self._connection.execute(_HOLDERS, {"key": self._key}).all()
        except SQLAlchemyError:
            return False
        return any(row.pid == row.mine for row in rows)

    def release(self) -> None:
        """Let it go and close the connection, which may be gone already."""
        try:
            self._connection.execute(_RELEASE, {"key": self._key})
        except SQLAlchemyError:
            self._connection.invalidate()
        finally:
            self._connection.close()


def lock_key(stack: str) -> int:
    """A stack's 63-bit key: the same everywhere, and unlikely to be another program's."""
    digest = hashlib.sha256(f"pgstead lock {stack}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _to_name(holder: Holder) -> str:
    since = f"{holder.since:%Y%m%dT%H%M%SZ}"
    who = f"{holder.command[:12]}{_SEPARATOR}{holder.pid}{_SEPARATOR}{since}{_SEPARATOR}"
    name = f"pgstead {who}{holder.user[:16]}@{holder.host}"
    # The server shows what is not ASCII as "?" and cuts in the middle of a character.
    return name.encode("ascii", "replace")[:NAME_BYTES].decode()


def _from_name(name: str | None) -> Holder | None:
    try:
        text = (name or "").removeprefix("pgstead ")
        command, pid, since, who = text.split(_SEPARATOR, 3)
        user, _, host = who.partition("@")
        moment = datetime.strptime(since, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return Holder(command, int(pid), user, host, moment)
    except ValueError:
        return None
