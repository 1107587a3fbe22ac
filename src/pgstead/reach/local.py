"""Reach on this machine: the paths of a machine are below its folder."""

from __future__ import annotations

import io
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pgstead.errors import CommandFailed, MissingSoftware, PlatformError
from pgstead.machine import File
from pgstead.reach.base import Finished
from pgstead.run import run

FOLLOW_SECONDS = 0.2
"""How often a log that is followed is looked at."""


@dataclass(frozen=True)
class LocalReach:
    """Implements `reach.base.Reach` for a folder on this machine.

    The platform says what it takes: `place` gives the real path of a machine's own and
    `log` that of a service's log; `text` replaces tokens; `write` writes a file whole or
    not at all; `acting` accesses files as the servers' user, whose name is `user` if
    pgstead has to become it; commands get `environment` and run in `folder`.
    """

    machine: str
    folder: Path
    place: Callable[[str], Path]
    log: Callable[[str], Path]
    text: Callable[[str], str]
    write: Callable[[Path, str, int], object]
    acting: Callable[[], AbstractContextManager[None]]
    environment: Mapping[str, str]
    user: str | None = None

    def push(self, file: File) -> None:
        """Write the file whole or not at all."""
        with self.acting():
            self.write(self.place(file.path), self.text(file.content), file.mode)

    def run(self, argv: Sequence[str], *, timeout: float = 60.0) -> Finished:
        """Run a command, whose words may hold tokens, as the servers' user."""
        try:
            done = run(
                [self.text(word) for word in argv],
                user=self.user,
                env=self.environment,
                cwd=self.folder,
                timeout=timeout,
                check=False,
            )
        except (CommandFailed, MissingSoftware) as error:
            raise PlatformError(f"{self.machine}: {error.message}", hint=error.hint) from error
        return Finished(done.code, done.stdout, done.stderr)

    def read(self, path: str) -> str | None:
        """The text of a file, or None where there is none."""
        place = self.place(path)
        try:
            with self.acting():
                return place.read_bytes().decode(errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise PlatformError(f"{place} cannot be read: {error.strerror}") from error

    def logs(self, service: str, *, follow: bool = False, lines: int = 100) -> Iterator[str]:
        """The last lines of a service's log, then new ones as they come.

        Raises `PlatformError` if there is no such log.
        """
        path = self.log(service)
        log = self._open(path)
        if log is None:
            raise PlatformError(
                f"machine {self.machine} has no log of a service {service!r}",
                hint=f"it has logs of: {', '.join(self._services(path.parent)) or 'none'}",
            )
        with log:
            yield from (line.rstrip("\n") for line in deque(log, maxlen=lines))
            if not follow:
                return
            yield from _until_rotated(path, log)
        while True:
            with self._open(path) or io.StringIO() as log:
                yield from _until_rotated(path, log)

    def _services(self, folder: Path) -> list[str]:
        with self.acting():
            return sorted(path.stem for path in folder.glob("*.log"))

    def _open(self, path: Path) -> IO[str] | None:
        try:
            with self.acting():
                return path.open(encoding="utf-8", errors="replace", newline="\n")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PlatformError(f"{path} cannot be read: {error.strerror}") from error


def _until_rotated(path: Path, log: IO[str]) -> Iterator[str]:
    """New lines of an open log, until another file has its name or it was cut off."""
    begun = ""
    while True:
        read = log.readline()
        begun += read
        if begun.endswith("\n"):
            yield begun.rstrip("\n")
            begun = ""
        elif not read:
            if _is_another(path, log):
                return
            # The one pause that waits for nothing that could be asked for: new lines.
            time.sleep(FOLLOW_SECONDS)


def _is_another(path: Path, log: IO[str]) -> bool:
    """Whether what is at `path` is not the log that is open; while nothing is there, it is not."""
    if isinstance(log, io.StringIO):
        return path.exists()
    try:
        there = path.stat()
    except OSError:
        return False
    here = os.fstat(log.fileno())
    return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino) or (
        there.st_size < log.tell()
    )
