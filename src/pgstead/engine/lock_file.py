"""A lock on a file beside SQLite's; it holds who took it, for others to read."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
from pathlib import Path

from pgstead.engine.lock import Holder, Lock
from pgstead.errors import NotReady
from pgstead.waiting import wait

PROBE_SECONDS = 0.3
"""`is_free` holds a shared lock for a moment: whoever wants the lock tries for so long."""


class FileLocking:
    """`flock` (Linux, flock(2)): gone when its holder dies, whatever the file still says."""

    def __init__(self, database: Path, stack: str) -> None:
        # One SQLite file may hold several stacks.
        self._path = database.with_name(f"{database.name}.{stack}.lock")

    def take(self, holder: Holder) -> Lock | None:
        """The lock; None if it is still another's after `PROBE_SECONDS`."""
        try:
            return wait(lambda: self._try(holder), deadline=PROBE_SECONDS, what="the lock")
        except NotReady:
            return None

    def _try(self, holder: Holder) -> Lock | None:
        number = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        held = FileLock(self._path, number)
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(number)
            return None
        if not held.still_held():  # it was forced away between open and flock
            os.close(number)
            return None
        held.write(holder)
        return held

    def holder(self) -> Holder | None:
        """Who wrote the file last, unless that process is known to be dead."""
        try:
            found = Holder.from_dict(json.loads(self._path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        here = found.host == socket.gethostname()
        return None if here and not _alive(found.pid) else found

    def is_free(self) -> bool:
        """Whether a shared lock is to be had."""
        try:
            number = os.open(self._path, os.O_RDONLY)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(number)
        return True

    def force(self) -> None:
        """Remove the file: the next one locks a new file, the holder finds its own gone."""
        self._path.unlink(missing_ok=True)


class FileLock:
    """A file lock that is held through an open file."""

    def __init__(self, path: Path, number: int) -> None:
        self._path = path
        self._number = number

    def write(self, holder: Holder) -> None:
        """Say who holds it. A full disk is no reason not to lock."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._number, 0)
            os.pwrite(self._number, json.dumps(holder.as_dict()).encode(), 0)

    def still_held(self) -> bool:
        """Whether the locked file is still the one that others would lock."""
        try:
            there = self._path.stat()
        except OSError:
            return False
        mine = os.fstat(self._number)
        return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)

    def release(self) -> None:
        """Let it go; the file stays, since removing it would race with others."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._number, 0)
        os.close(self._number)


class NoLocking:
    """For a state in memory, which no other process can reach."""

    def take(self, holder: Holder) -> Lock | None:  # noqa: ARG002 - the protocol's
        """Always."""
        return NoLock()

    def holder(self) -> Holder | None:
        """Nobody."""
        return None

    def is_free(self) -> bool:
        """Always."""
        return True

    def force(self) -> None:
        """Nothing to do."""


class NoLock:
    """A lock that cannot be lost."""

    def still_held(self) -> bool:
        """Always."""
        return True

    def release(self) -> None:
        """Nothing to do."""


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # another user's
    return True
