"""Doing damage: noted before, done at once, brought back if it could only be half done."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pgstead.drills.fault import Scene
from pgstead.drills.faults.notes import Notes
from pgstead.drills.faults.undoing import Undo
from pgstead.platforms.base import Platform


@dataclass(frozen=True)
class Struck:
    """Implements `drills.fault.Damage`."""

    what: str
    at: float
    hold: float
    undos: tuple[Undo, ...]
    platform: Platform
    notes: Notes

    def restore(self) -> None:
        """Bring back what was broken, and strike it from the notes."""
        for undo in self.undos:
            undo.undo(self.platform)
        self.notes.remove(self.undos)


def strike(
    scene: Scene,
    what: str,
    act: Callable[[], float],
    *,
    undos: Sequence[Undo] = (),
    hold: float = 0.0,
) -> Struck:
    """Do damage.

    `act` does it and gives when it took effect, by `time.monotonic`. What it raises comes out
    after all has been brought back.
    """
    notes = Notes(scene.notes)
    notes.add(undos)
    try:
        at = act()
    except BaseException:
        Struck(what, 0.0, hold, tuple(undos), scene.platform, notes).restore()
        raise
    return Struck(what, at, hold, tuple(undos), scene.platform, notes)


def beginning(act: Callable[[], object]) -> Callable[[], float]:
    """An act that takes effect as soon as it begins."""

    def timed() -> float:
        at = time.monotonic()
        act()
        return at

    return timed


def ending(act: Callable[[], object]) -> Callable[[], float]:
    """An act that takes long to prepare, and effect when it is done."""

    def timed() -> float:
        act()
        return time.monotonic()

    return timed
