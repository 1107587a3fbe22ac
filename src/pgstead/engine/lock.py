"""One `up` at a time: flock beside SQLite, a session advisory lock in PostgreSQL.

Both are let go by the kernel or the server when their holder dies, however it dies.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Protocol

from pgstead.engine.database import Database
from pgstead.errors import StateError


class Locked(Protocol):
    """What is locked: a stack's state."""

    @property
    def database(self) -> Database:
        """Where the state is kept."""

    @property
    def stack(self) -> str:
        """The stack's name."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock. `since` is when it was taken, in UTC."""

    command: str
    pid: int
    user: str
    host: str
    since: datetime

    def __str__(self) -> str:
        return (
            f"`{self.command}` (pid {self.pid}, {self.user}@{self.host}), "
            f"since {self.since:%Y-%m-%d %H:%M:%S} UTC"
        )

    def as_dict(self) -> dict[str, str | int]:
        """JSON scalars, to be read by `from_dict`."""
        return asdict(self) | {"since": self.since.isoformat(timespec="seconds")}

    @classmethod
    def from_dict(cls, given: dict[str, str]) -> Holder:
        """Raises `KeyError`, `TypeError` or `ValueError` for what is none."""
        return cls(
            command=given["command"],
            pid=int(given["pid"]),
            user=given["user"],
            host=given["host"],
            since=datetime.fromisoformat(given["since"]),
        )


def this_process(command: str) -> Holder:
    """This process as a holder."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.geteuid())  # a user without an entry in the password database
    return Holder(command, os.getpid(), user, socket.gethostname(), datetime.now(UTC))


class Lock(Protocol):
    """A lock that is held."""

    def still_held(self) -> bool:
        """Whether it is held yet: ask between steps, since connections get lost."""

    def release(self) -> None:
        """Let it go."""


class Kind(Protocol):
    """One way of locking, for one stack."""

    def take(self, holder: Holder) -> Lock | None:
        """The lock, or None while another holds it."""

    def holder(self) -> Holder | None:
        """Who holds it, as far as that can be seen."""

    def is_free(self) -> bool:
        """Whether nobody holds it; takes nothing."""

    def force(self) -> None:
        """Take it away from whoever holds it."""


def kind_of(database: Database, stack: str) -> Kind:
    """The way of locking that suits the database."""
    if database.kind == "postgresql":
        from pgstead.engine.lock_postgresql import AdvisoryLocking  # noqa: PLC0415 - seldom

        return AdvisoryLocking(database, stack)
    from pgstead.engine.lock_file import FileLocking, NoLocking  # noqa: PLC0415 - a cycle

    return FileLocking(database.path, stack) if database.path else NoLocking()


@contextlib.contextmanager
def lock(state: Locked, command: str) -> Iterator[Lock]:
    """Hold the stack's lock for `command`, e.g. "up".

    Raises `StateError` that says who else holds it since when.
    """
    kind = kind_of(state.database, state.stack)
    with state.database.explained():
        taken = kind.take(this_process(command))
    if taken is None:
        raise _refusal(state.stack, kind.holder())
    try:
        yield taken
    finally:
        taken.release()


def is_free(state: Locked) -> bool:
    """Whether nobody works on the stack at this moment."""
    with state.database.explained():
        return kind_of(state.database, state.stack).is_free()


def holder_of(state: Locked) -> Holder | None:
    """Who holds the lock; None if nobody does, or if that cannot be seen (`is_free`)."""
    kind = kind_of(state.database, state.stack)
    with state.database.explained():
        return None if kind.is_free() else kind.holder()


def force_unlock(state: Locked) -> Holder | None:
    """Take the lock away; who held it, if that is known.

    For the rare rest: a holder that hangs, or a file system that lost a lock. The holder
    sees it before its next step (`Lock.still_held`).
    """
    kind = kind_of(state.database, state.stack)
    with state.database.explained():
        if kind.is_free():
            return None
        holder = kind.holder()
        kind.force()
    return holder


def check_held(held: Lock) -> None:
    """Raise `StateError` if the lock was lost: to be called between steps."""
    if not held.still_held():
        raise StateError(
            "the lock on the state was lost: its connection broke, or it was taken away",
            hint="run the same command again; what was done so far is recorded",
        )


def _refusal(stack: str, holder: Holder | None) -> StateError:
    if holder is None:
        return StateError(
            f"another command works on stack {stack!r} at this moment",
            hint="wait for it to end and run the same command again",
        )
    return StateError(
        f"another command works on stack {stack!r}: {holder}",
        hint="wait for it to end; if it hangs, end that process, which frees the lock",
    )
