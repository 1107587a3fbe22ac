"""What the parts of the bench have in common: measures, a table of them, and JSON."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "build" / "bench.json"


@dataclass(frozen=True)
class Measure:
    """Values of one thing measured several times; `limit` is what the project promises."""

    what: str
    values: tuple[float, ...]
    unit: str = "s"
    limit: float | None = None

    @property
    def median(self) -> float:
        """The middle of the values."""
        return round(statistics.median(self.values), 3)

    def row(self) -> tuple[str, ...]:
        """The cells of its line in the table."""
        spread = f"{min(self.values):.2f} to {max(self.values):.2f}"
        limit = "" if self.limit is None else f"{self.limit:g}"
        verdict = "" if self.limit is None else ("yes" if self.median <= self.limit else "NO")
        return (self.what, f"{self.median:.2f}", self.unit, spread, limit, verdict)


def ratio(what: str, ours: Measure, yardstick: Measure, limit: float) -> Measure:
    """How many times the yardstick's median ours is."""
    return Measure(what, (round(ours.median / yardstick.median, 3),), "x", limit)


def seconds(argv: Sequence[str | Path], folder: Path | None = None) -> tuple[float, str]:
    """How long a program took from start to end, and its standard output.

    Raises CalledProcessError if it failed, after the end of what it said.
    """
    began = time.perf_counter()
    done = subprocess.run(
        argv, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    took = time.perf_counter() - began
    if done.returncode:
        note(done.stderr[-2000:])
    done.check_returncode()
    return took, done.stdout


def show(measures: Iterable[Measure]) -> None:
    """Print a table."""
    rows = [("", "median", "", "range", "limit", "within"), *(one.row() for one in measures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


def keep(measures: Iterable[Measure]) -> None:
    """Write everything to the results file, and say where that is."""
    document = {
        "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "machine": {
            "system": platform.platform(),
            "processors": os.cpu_count(),
            "load": os.getloadavg()[0],
            "python": platform.python_version(),
        },
        "measures": [{**asdict(one), "median": one.median} for one in measures],
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(document, indent=2) + "\n")
    print(f"\n{RESULTS.relative_to(ROOT)}")


def note(text: str) -> None:
    """Say what goes on, on standard error."""
    print(text, file=sys.stderr, flush=True)
