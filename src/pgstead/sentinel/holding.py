"""Who works on a stack: a file that commands hold together, and the sentinel alone.

A command that changes the stack holds the file for as long as it works; a sentinel that acts
holds it against all of them, for the seconds that a step takes. So neither begins in the middle
of the other's work. The kernel lets go when a holder dies, however it dies (flock(2)).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pgstead.waiting import wait

STEP_SECONDS = 90.0
"""The longest that a command waits for a sentinel's step: to start a machine takes longest."""


class Hold(Protocol):
    """What says whether others work on the stack, and keeps them from it for a moment."""

    def holder(self) -> str:
        """Who works on the stack, in words; empty if nobody does."""

    def taken(self) -> AbstractContextManager[bool]:
        """Keep others away for as long as the context lasts; gives whether that was possible."""


@dataclass(frozen=True, slots=True)
class FileHold:
    """A sentinel's view of the file, which it makes."""

    path: Path

    def holder(self) -> str:
        """The command that holds it, as far as it said so."""
        with self.taken() as free:
            if free:
                return ""
        with suppress(OSError):
            return self.path.read_text(encoding="utf-8").strip() or "another command"
        return "another command"

    @contextmanager
    def taken(self) -> Iterator[bool]:
        """Hold it alone, unless a command has it."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield _locked(number, fcntl.LOCK_EX)
        finally:
            os.close(number)


Acting = Callable[[], AbstractContextManager[None]]
"""A context in which files are opened as the user who owns them."""


@contextmanager
def held(path: Path, command: str, acting: Acting = nullcontext) -> Iterator[None]:
    """A command's hold; where no sentinel made the file, there is none to keep still.

    Raises `NotReady` if a sentinel's step does not end.
    """
    try:
        with acting():
            number = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        yield
        return
    try:
        wait(
            lambda: _locked(number, fcntl.LOCK_SH),
            deadline=STEP_SECONDS,
            what="the sentinel's step to end",
        )
        _say(number, f"`pgstead {command}` (process {os.getpid()})")
        yield
    finally:
        os.close(number)


def _locked(number: int, kind: int) -> bool:
    try:
        fcntl.flock(number, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _say(number: int, who: str) -> None:
    """A full disk is no reason not to work."""
    with suppress(OSError):
        os.ftruncate(number, 0)
        os.pwrite(number, who.encode(), 0)
