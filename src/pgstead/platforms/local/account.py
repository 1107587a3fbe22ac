"""The user that servers run as, and file access in its name."""

from __future__ import annotations

import ctypes
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pgstead.errors import PlatformError

DEFAULT_USER = "postgres"


@dataclass(frozen=True, slots=True)
class Account:
    """A user. `switch` tells that pgstead runs as root and has to become that user."""

    name: str
    uid: int
    gid: int
    home: Path
    switch: bool

    @property
    def user(self) -> str | None:
        """The user to become, as `run.run` takes it."""
        return self.name if self.switch else None

    def barrier(self, *paths: Path) -> Path | None:
        """The first folder on the way to one of the paths that this user may not enter."""
        for folder in (folder for path in paths for folder in reversed(path.parents)):
            try:
                status = folder.stat()
            except FileNotFoundError:
                continue
            mine, group = status.st_uid == self.uid, status.st_gid == self.gid
            bit = 0o100 if mine else 0o010 if group else 0o001
            if not status.st_mode & bit:
                return folder
        return None

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Access files as this user.

        Root must not write below a folder that belongs to a less privileged user: a link
        planted there would have it overwrite anything. The kernel's file system identity
        is per thread, so that other threads are not affected (setfsuid(2)).
        """
        if not self.switch:
            yield
            return
        libc = _libc()
        group, user = libc.setfsgid(self.gid), libc.setfsuid(self.uid)  # both give the former
        try:
            yield
        finally:
            libc.setfsuid(user)
            libc.setfsgid(group)


def service_account(wanted: str | None) -> Account:
    """The user that servers run as: the one who called, or when that is root, an ordinary one.

    Raises `PlatformError` if there is no such user, or if it cannot be the one.
    """
    if os.geteuid() != 0:
        own = _own_entry()
        if wanted not in (None, own.pw_name):
            raise PlatformError(
                f"servers cannot run as {wanted!r}: only root may start them as another user",
                hint=f"leave out platform.user, or run pgstead as root or as {wanted}",
            )
        return _account(own, switch=False)
    return _account(_lookup(wanted or DEFAULT_USER), switch=True)


def _own_entry() -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(os.geteuid())
    except KeyError:
        raise PlatformError(
            f"user id {os.geteuid()} has no name on this machine, and initdb needs one",
            hint="run pgstead as a user that `getent passwd` knows",
        ) from None


def _lookup(name: str) -> pwd.struct_passwd:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise PlatformError(
            f"there is no user {name!r} for the servers to run as",
            hint=f"create it (`useradd --system {name}`), or name another in platform.user",
        ) from None
    if entry.pw_uid == 0:
        raise PlatformError(
            "servers cannot run as root: PostgreSQL refuses to",
            hint="name an ordinary user in platform.user",
        )
    return entry


def _account(entry: pwd.struct_passwd, *, switch: bool) -> Account:
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, Path(entry.pw_dir), switch)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)
