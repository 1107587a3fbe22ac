"""`pgstead up` of the quickstart beside the same stack made by hand, in turn.

Both count from their processes' start, and both write as the application, into its
database: that is what whoever brings up a stack waits for.
"""

from __future__ import annotations

import argparse
import json
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from measures import ROOT, Measure, keep, note, ratio, seconds, show

PGSTEAD = Path(sys.executable).with_name("pgstead")
HANDMADE = Path(__file__).with_name("handmade.py")
PARENT = Path("/var/tmp")  # a disk, where /tmp may be memory
Times = tuple[float, float]
"""Seconds until the first write, and until all is ready."""


@contextmanager
def stack() -> Iterator[Path]:
    """The quickstart's file under another name, in a folder of its own; destroyed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="pgstead-bench-", dir=PARENT))
    folder.chmod(0o755)
    content = yaml.safe_load((ROOT / "examples" / "quickstart.yaml").read_text())
    file = folder / "stack.yaml"
    file.write_text(yaml.safe_dump({**content, "name": f"bench-{secrets.token_hex(3)}"}))
    try:
        yield file
    finally:
        seconds([PGSTEAD, "destroy", file, "--yes", "--delete-data"])
        shutil.rmtree(folder)


def by_hand() -> Times:
    """Once by hand; it counts from its process's start."""
    document = json.loads(seconds([sys.executable, HANDMADE, "--parent", PARENT])[1])
    return document["first_write_seconds"], document["ready_seconds"]


def by_pgstead(file: Path) -> Times:
    """Once by pgstead, from nothing."""
    whole, output = seconds([PGSTEAD, "up", file, "--yes", "--format", "json"])
    document = json.loads(output)
    return document["first_write_seconds"], whole


def from_nothing(rounds: int, idle_rounds: int) -> tuple[list[Times], list[Times], list[float]]:
    """By hand and by pgstead in turn; and, while the last one runs, `up` with nothing to do."""
    hand, ours, idle = [], [], []
    for number in range(1, rounds + 1):
        hand.append(by_hand())
        note(f"round {number} of {rounds}: by hand {hand[-1][0]:.2f} and {hand[-1][1]:.2f} s")
        with stack() as file:
            ours.append(by_pgstead(file))
            note(f"round {number} of {rounds}: pgstead {ours[-1][0]:.2f} and {ours[-1][1]:.2f} s")
            if number == rounds:
                idle = [seconds([PGSTEAD, "up", file, "--yes"])[0] for _ in range(idle_rounds)]
    return hand, ours, idle


def measure(rounds: int = 3, idle_rounds: int = 5) -> list[Measure]:
    """All of it."""
    seconds([PGSTEAD, "--help"])  # once for the disk's sake
    usage = tuple(seconds([PGSTEAD, "--help"])[0] for _ in range(7))
    hand, ours, idle = from_nothing(rounds, idle_rounds)
    hand_first = Measure("by hand: first write", tuple(first for first, _ in hand))
    hand_ready = Measure("by hand: all ready", tuple(ready for _, ready in hand))
    first = Measure("pgstead up: first write", tuple(first for first, _ in ours))
    ready = Measure("pgstead up: all ready, whole process", tuple(ready for _, ready in ours))
    return [
        hand_first,
        first,
        ratio("first write, pgstead to by hand", first, hand_first, 1.3),
        hand_ready,
        ready,
        ratio("all ready, pgstead to by hand", ready, hand_ready, 1.3),
        Measure("pgstead up, nothing to do", tuple(idle), limit=1.0),
        Measure("pgstead --help", usage, limit=0.2),
    ]


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    measures = measure(parser.parse_args().rounds)
    show(measures)
    keep(measures)


if __name__ == "__main__":
    main()
