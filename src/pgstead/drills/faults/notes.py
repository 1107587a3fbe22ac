"""What has to be brought back, written down before it is broken.

A drill that is killed leaves the cluster broken; who comes next finds here what to do about it.
The file is there only as long as something is broken, or may be.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pgstead.drills.faults.undoing import Undo, from_words, to_words
from pgstead.errors import PgsteadError, PlatformError, StateError
from pgstead.platforms.base import Platform


@dataclass(frozen=True, slots=True)
class Notes:
    """The file at `path`; None keeps nothing. All methods raise `StateError`."""

    path: Path | None

    def add(self, undos: Iterable[Undo]) -> None:
        """Note more; it is on disk when this returns."""
        self._write([*self.all(), *undos])

    def remove(self, undos: Sequence[Undo]) -> None:
        """Strike out what was brought back."""
        self._write([one for one in self.all() if one not in undos])

    def all(self) -> list[Undo]:
        """What has to be brought back, in the order in which it was noted."""
        if self.path is None:
            return []
        try:
            return [from_words(one) for one in json.loads(self.path.read_text(encoding="utf-8"))]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise StateError(
                f"what a drill broke cannot be read from {self.path}: {error}",
                hint="bring the machines back by hand if any is broken, and remove that file",
            ) from error

    def _write(self, undos: Sequence[Undo]) -> None:
        if self.path is None:
            return
        try:
            if undos:
                _replace(self.path, json.dumps([to_words(one) for one in undos], indent=1) + "\n")
            else:
                self.path.unlink(missing_ok=True)
        except OSError as error:
            raise StateError(
                f"what a drill breaks cannot be noted in {self.path}: {error.strerror}"
            ) from error


def bring_back(platform: Platform, path: Path, *, leaving: bool = False) -> tuple[str, ...]:
    """Bring back what a drill that was killed left broken; gives what it was, in words.

    Where the machines are `leaving`, only what would outlive them or keep them from ending.
    Raises `StateError` for notes that cannot be read, and `PlatformError` for what cannot be
    brought back.
    """
    notes = Notes(path)
    undos = notes.all()
    done = [one for one in undos if not leaving or one.outlives]
    for undo in done:
        try:
            undo.undo(platform)
        except PgsteadError as error:
            raise PlatformError(
                f"what a drill left broken cannot be brought back ({undo.words}): {error.message}",
                hint=f"to go on without, put it right by hand and remove {path}",
            ) from error
        notes.remove([undo])
    notes.remove(undos)
    return tuple(undo.words for undo in done)


def _replace(path: Path, text: str) -> None:
    """Write the file whole or not at all, and have it on disk."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
