"""What a database's errors mean to a user."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError

from pgstead.errors import StateError

_KNOWN = (
    # (a part of the driver's words, what is wrong, what to do)
    (
        "disk is full",
        "there is no room left to write the state {where}",
        "free some room and run the same command again; what was recorded is kept",
    ),
    (
        "no space left",
        "there is no room left to write the state {where}",
        "free some room and run the same command again; what was recorded is kept",
    ),
    (
        "file is not a database",
        "the state {where} is not a database",
        "move that file away, and restore it from a backup or with `pgstead state import`",
    ),
    (
        "malformed",
        "the state {where} is damaged",
        "restore it from a backup or with `pgstead state import`",
    ),
    (
        "database is locked",
        "the state {where} is being written by another process",
        "wait for it to end and run the same command again",
    ),
    (
        "to terminate",
        "no permission to end the session that holds the lock in {where}",
        "ask the user whose session it is, or a superuser, to end it",
    ),
    (
        "permission denied",
        "no permission for the state {where}",
        "run as the user who owns it, or give this one access",
    ),
    (
        "readonly database",
        "no permission to write the state {where}",
        "run as the user who owns it, or give this one access",
    ),
    (
        "unable to open database file",
        "the state {where} cannot be opened",
        "see that its folder exists and that this user may read and write it",
    ),
    (
        "authentication failed",
        "PostgreSQL refused the user or the password for the state {where}",
        "check the user and the password in the state's URL, or in the passfile",
    ),
    (
        "no password supplied",
        "PostgreSQL asks for a password for the state {where}",
        "put it into the state's URL, PGPASSWORD or a passfile",
    ),
    (
        "does not exist",
        "PostgreSQL does not know what the state {where} names: {detail}",
        "create it first, or correct the state's URL",
    ),
    (
        "connection",
        "the state {where} cannot be reached: {detail}",
        "see that PostgreSQL runs there and accepts connections from here",
    ),
)


def explain(error: Exception, where: str, *, secret: str | None = None) -> StateError:
    """The `StateError` that tells a user about `error` of the state at `where`.

    `secret` is cut out of the driver's words.
    """
    detail = _detail(error)
    if secret:
        detail = detail.replace(secret, "***")
    for part, message, hint in _KNOWN:
        if part in detail.lower():
            return StateError(message.format(where=where, detail=detail), hint=hint)
    return StateError(f"the state {where} cannot be used: {detail}")


def _detail(error: Exception) -> str:
    original = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, sqlite3.Error):
        return str(original)
    if isinstance(original, OSError):
        return f"{original.strerror or original}"
    if primary := getattr(getattr(original, "diag", None), "message_primary", None):
        return str(primary)  # psycopg's, without the statement and its position
    lines = [line.strip() for line in str(original).splitlines() if line.strip()]
    return lines[-1] if lines else type(original).__name__
