"""Runs a pgstead command again and again, killed at every step, until it ends by itself.

    python killer.py WORDS OF THE COMMAND...

Each run is a process of its own. It kills itself with SIGKILL at the first point at which
no run before it died: right before a step runs, and right after it ran and before anything
of that is recorded; the same around what is done before the first step and after the last.
What runs side by side at that moment dies with it. At the end a JSON document tells where
it was killed and how the last run ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pgstead.cli import main
from pgstead.engine import apply
from pgstead.engine.materials import StoredMaterials
from pgstead.engine.plan import Change
from pgstead.engine.resource import Step
from pgstead.engine.state import State
from pgstead.platforms.local import LocalPlatform

MOST_RUNS = 300
NO_POINT_LEFT = "no end in sight"


class Killer:
    """`points` is a file with a line for each point at which a run died."""

    def __init__(self, points: Path) -> None:
        self._points = points
        self._known = set(points.read_text().splitlines()) if points.exists() else set()
        self._lock = threading.Lock()

    def step(self, change: Change, step: Step, run: apply.Run) -> None:
        """The engine's own, with two points at which to die around what the step does."""
        name = f"{change.address}: {step.title.partition(': ')[0]}"

        def watched() -> None:
            self._point(f"before {name}")
            step.run()
            self._point(f"after {name}")

        ORIGINAL(change, replace(step, run=watched), run)

    def around(self, owner: type, method: str) -> None:
        """Two points around every call of a method."""
        original = getattr(owner, method)
        name = f"{owner.__name__}.{method}"

        def watched(*arguments: Any, **named: Any) -> Any:
            self._point(f"before {name}")
            result = original(*arguments, **named)
            self._point(f"after {name}")
            return result

        setattr(owner, method, watched)

    def _point(self, name: str) -> None:
        if name in self._known:
            return
        with self._lock:  # never let go: whoever comes second dies with the first
            with self._points.open("a") as file:
                file.write(f"{name}\n")
            os.kill(os.getpid(), signal.SIGKILL)


AROUND: dict[type, tuple[str, ...]] = {
    StoredMaterials: ("save", "mark_tried", "mark_applied", "prune"),
    LocalPlatform: ("dispose",),
    State: ("wipe",),
}
ORIGINAL: Callable[[Change, Step, apply.Run], None] = apply._step


def run_once(points: Path, words: list[str]) -> int:
    """One run in a child process; what its end tells, as `os.waitstatus_to_exitcode`."""
    child = os.fork()
    if child == 0:
        killer = Killer(points)
        apply._step = killer.step
        for owner, methods in AROUND.items():
            for method in methods:
                killer.around(owner, method)
        os._exit(command(words))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def command(words: list[str]) -> int:
    """The command line as its users start it; its exit code."""
    sys.argv = ["pgstead", *words]
    try:
        main()
    except SystemExit as leaving:
        sys.stdout.flush()
        sys.stderr.flush()
        return int(leaving.code or 0)
    return 0


def run_to_the_end(points: Path, words: list[str]) -> tuple[int, list[float]]:
    """Run until the command is not killed any more; its exit code, and seconds by run."""
    seconds: list[float] = []
    while len(seconds) < MOST_RUNS:
        began = time.monotonic()
        code = run_once(points, words)
        seconds.append(round(time.monotonic() - began, 2))
        if code != -signal.SIGKILL:
            return code, seconds
    raise AssertionError(NO_POINT_LEFT)


if __name__ == "__main__":
    # Imported before the first fork, so that not every run pays for it; starts no thread.
    import pgstead.clusters.machines
    import pgstead.operations.destroy
    import pgstead.operations.up  # noqa: F401

    with TemporaryDirectory() as folder:
        file = Path(folder) / "points"
        ended, seconds = run_to_the_end(file, sys.argv[1:])
        killed = file.read_text().splitlines() if file.exists() else []
    json.dump({"killed": killed, "code": ended, "seconds": seconds}, sys.stdout)
