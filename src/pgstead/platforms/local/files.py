"""Files and folders on this machine, with errors that name the path and say what to do."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pgstead.errors import PlatformError

_HINTS = {
    errno.ENOSPC: "the disk is full: free some space and run again",
    errno.EDQUOT: "the disk quota is used up: free some space and run again",
    errno.EROFS: "the file system is mounted read-only",
    errno.EACCES: "check who owns the folder and its parents; platform.folder names another place",
    errno.EPERM: "check who owns the folder and its parents; platform.folder names another place",
    errno.ENAMETOOLONG: "name a shorter place in platform.folder",
}


@contextmanager
def explained(path: Path | str) -> Iterator[None]:
    """Turn an `OSError` about `path` into a `PlatformError`."""
    try:
        yield
    except OSError as error:
        raise PlatformError(
            f"{error.filename or path}: {error.strerror or error}",
            hint=_HINTS.get(error.errno or 0),
        ) from error


def make_folder(path: Path, mode: int = 0o700) -> None:
    """Make a folder and its parents, and set its mode; one that is there is kept."""
    with explained(path):
        _make_with_parents(path)
        set_mode(path, mode)


def _make_with_parents(path: Path) -> None:
    """As `Path.mkdir` with parents, but those are for their owner alone as well."""
    missing = [one for one in (path, *path.parents) if not one.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)


def set_mode(path: Path, mode: int) -> None:
    """Set permissions if they differ, so that the time of the last change stays if not."""
    if path.stat().st_mode & 0o7777 != mode:
        path.chmod(mode)


def write_file(path: Path, content: str, mode: int = 0o600) -> bool:
    """Write a file whole or not at all; True if that changed its content.

    The new text is written beside it under a fixed name, so that a crash leaves one file
    that the next attempt overwrites.
    """
    with explained(path):
        if read_file(path) == content:
            set_mode(path, mode)
            return False
        _make_with_parents(path.parent)
        fresh = path.with_name(f".{path.name}.new")
        fresh.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(fresh, flags, mode), "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content.encode())
        fresh.replace(path)
        return True


def read_file(path: Path) -> str | None:
    """The text of a file, or None where there is none."""
    try:
        return path.read_bytes().decode(errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None


def remove_tree(path: Path, but: Collection[Path] = ()) -> None:
    """Remove a folder and all that is in it; one that is gone is no error.

    Folders `but` stay, and with them those that lead to them.
    """
    with explained(path):
        if path.is_symlink():
            path.unlink()
        elif path in but:
            return
        elif any(path in kept.parents for kept in but):
            for entry in path.iterdir():
                remove_tree(entry, but)
        elif path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()


def own_folder(path: Path, uid: int) -> None:
    """Make sure of a folder, 0700, that belongs to `uid` alone.

    Raises `PlatformError` if it belongs to somebody else or is a link: in a folder that
    everyone may write to, others could have made it before us.
    """
    with explained(path):
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        found = path.lstat()
        ours = found.st_uid == uid and not path.is_symlink() and path.is_dir()
        if not ours or found.st_mode & 0o077:
            raise PlatformError(
                f"{path} is not a folder of user {uid} alone, so nothing is put there",
                hint=f"find out who made it (`ls -ld {path}`), and remove it",
            )


def tail_of(path: Path, lines: int = 15, size: int = 16384, columns: int = 400) -> str:
    """The last lines of a file, long ones cut; empty where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - size))
            last = file.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        return ""
    return "\n".join(line if len(line) <= columns else f"{line[:columns]}..." for line in last)
