"""What pgstead itself costs at scale: stacks of many modules on the memory platform.

A stack of N modules is N / 10 clusters of ten (3 etcd, 5 PostgreSQL, 2 load balancers), all
written out as modules. Each command is one process; its peak memory is the kernel's
(ru_maxrss). On the memory platform a step costs nothing, so that what is measured is
pgstead's own work: reading, checking, certificates, templates, the plan, the state.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from measures import Measure, keep, note, seconds, show

PGSTEAD = Path(sys.executable).with_name("pgstead")
LAUNCH = Path(__file__).with_name("launch.py")
SIZES = (10, 100, 1_000, 10_000)
PROMISED = 1_000  # the size that the limits are about
CLUSTER = {
    "name": "scale",
    "platform": {"kind": "memory"},
    "cluster": {
        "postgres": {"members": 5},
        "etcd": {"members": 3},
        "load_balancer": {"members": 2},
    },
}
_MACHINE = re.compile(r"\b(etcd|postgres|load-balancer)-(\d+)\b")


@dataclass(frozen=True)
class Cost:
    """What one process took: seconds from start to end, and mebibytes at its peak."""

    seconds: float
    peak: float


def cost(argv: Sequence[str | Path]) -> Cost:
    """Run a program to its end. Raises CalledProcessError, with what it said, if it failed."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", LAUNCH, *argv],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        note(done.stderr[-2000:])
        raise subprocess.CalledProcessError(done.returncode, argv)
    spent, peak = done.stdout.split()
    return Cost(float(spent), int(peak) / 1024)


def many(cluster: Mapping[str, Any], size: int) -> dict[str, Any]:
    """A stack of that many modules, from the ten that one cluster stands for."""
    modules: dict[str, Any] = {}
    for number in range(size // len(cluster["modules"])):
        for key, variables in cluster["modules"].items():
            name = f"c{number}"
            modules[_named(key, name)] = _renamed(copy.deepcopy(variables), name)
    return {**cluster, "modules": modules}


def _renamed(value: Any, name: str) -> Any:
    """The same variables, for the cluster of that name; the authority is everyone's."""
    if isinstance(value, dict):
        return {k: v if k == "ca" else _renamed(v, name) for k, v in value.items()}
    if isinstance(value, list):
        return [_renamed(item, name) for item in value]
    return _named(value, name) if isinstance(value, str) else value


def _named(text: str, name: str) -> str:
    return _MACHINE.sub(rf"{name}-\1-\2", text.replace(str(CLUSTER["name"]), name))


@contextlib.contextmanager
def stacks(sizes: Sequence[int]) -> Iterator[dict[int, Path]]:
    """A stack file of each size, in a folder that is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="pgstead-scale-", dir="/var/tmp"))
    try:
        short = folder / "cluster.yaml"
        short.write_text(yaml.safe_dump(CLUSTER))
        cluster = yaml.safe_load(seconds([PGSTEAD, "expand", short])[1])
        yield {size: _written(folder, many(cluster, size), size) for size in sizes}
    finally:
        shutil.rmtree(folder)


def _written(folder: Path, stack: Mapping[str, Any], size: int) -> Path:
    place = folder / str(size) / "stack.yaml"
    place.parent.mkdir()
    place.write_text(yaml.dump(stack, Dumper=yaml.CSafeDumper, sort_keys=False))
    return place


def measure(sizes: Sequence[int] = SIZES) -> list[Measure]:
    """Three commands for each size: the first plan, `up`, and a plan with nothing to do."""
    found: list[Measure] = []
    with stacks(sizes) as files:
        for size, file in files.items():
            commands = {
                "plan": ("plan", file),
                "up": ("up", file, "--yes"),
                "plan, nothing to do": ("plan", file),
            }
            for what, command in commands.items():
                spent = cost([PGSTEAD, *command])
                note(f"{size} modules, {what}: {spent.seconds:.2f} s, {spent.peak:.0f} MiB")
                found += _measures(size, what, spent)
    return found


def _measures(size: int, what: str, spent: Cost) -> list[Measure]:
    limits = {"plan": 2.0, "up": 10.0, "plan, nothing to do": 2.0}
    promised = size == PROMISED
    name = f"{size:,} modules: {what}"
    return [
        Measure(name, (spent.seconds,), limit=limits[what] if promised else None),
        Measure(
            f"{name}, peak memory",
            (spent.peak,),
            "MiB",
            250 if promised and what == "plan" else None,
        ),
    ]


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", default=SIZES)
    measures = measure(parser.parse_args().sizes)
    show(measures)
    keep(measures)


if __name__ == "__main__":
    main()
