"""How long writes stop: `pgstead drill` of the quickstart, beside others' timings in the same run.

Every variant is the quickstart but for its timings and its sentinel, brought up by pgstead, and
drilled by the same faults. What is promised is `LIMITS`, for the variant as it is shipped.
"""

from __future__ import annotations

import argparse
import json
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from measures import ROOT, Measure, keep, note, ratio, seconds, show

PGSTEAD = Path(sys.executable).with_name("pgstead")
PARENT = Path("/var/tmp")  # a disk, where /tmp may be memory
REPORTS = ROOT / "build"
FAULTS = ("postgres-killed", "switchover", "leader-dead")

LIMITS: Mapping[str, float] = {
    "postgres-killed": 2.5,
    "leader-dead": 5,
    "leader-frozen": 8,
    "switchover": 2.5,
    "synchronous-standby-dead": 0,
    "etcd-down": 0,
    "patroni-killed": 2,
}
"""The 95th percentile of the write outage, in seconds."""


@dataclass(frozen=True)
class Variant:
    """The quickstart with other timings; without `sentinel` nobody fences."""

    name: str
    target: str
    sentinel: bool


SHIPPED = Variant("as shipped", "fast", sentinel=True)
OTHERS = (
    Variant("without fencing", "fast", sentinel=False),
    Variant("Patroni's defaults", "patroni", sentinel=False),
    Variant("the seeds' timings", "seeds", sentinel=False),
)


@contextmanager
def up(variant: Variant) -> Iterator[Path]:
    """The variant's stack file, up, in a folder of its own; destroyed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="pgstead-bench-", dir=PARENT))
    folder.chmod(0o755)
    content = yaml.safe_load((ROOT / "examples" / "quickstart.yaml").read_text())
    content |= {"name": f"drill-{secrets.token_hex(3)}", "sentinel": {"enabled": variant.sentinel}}
    content["cluster"]["timings"] = {"target": variant.target}
    file = folder / "stack.yaml"
    file.write_text(yaml.safe_dump(content))
    try:
        seconds([PGSTEAD, "up", file, "--yes"])
        yield file
    finally:
        seconds([PGSTEAD, "destroy", file, "--yes", "--delete-data"])
        shutil.rmtree(folder)


def drill(variant: Variant, faults: Sequence[str], rounds: int) -> dict[str, Any]:
    """The drill's document; its page is kept among the results."""
    page = REPORTS / f"drill-{variant.name.replace(' ', '-').replace(chr(39), '')}.html"
    REPORTS.mkdir(exist_ok=True)
    wanted = [word for fault in faults for word in ("--fault", fault)]
    with up(variant) as file:
        note(f"{variant.name}: {rounds} rounds each of {', '.join(faults)}")
        options = ["--yes", "--rounds", str(rounds), "--report", str(page), "--format", "json"]
        argv = [str(PGSTEAD), "drill", str(file), *wanted, *options]
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def outages(variant: Variant, document: Mapping[str, Any]) -> dict[str, Measure]:
    """The write outages of each fault; more than one line for what was lost."""
    found: dict[str, list[float]] = {}
    for one in document["rounds"]:
        found.setdefault(one["fault"], []).append(one["write_outage"])
    return {
        fault: Measure(f"{variant.name}: {fault}", tuple(values)) for fault, values in found.items()
    }


def totals(variant: Variant, document: Mapping[str, Any]) -> Iterator[Measure]:
    """What must hold for all rounds together."""
    for fault in document["faults"]:
        lost = float("nan") if fault["lost"] is None else fault["lost"]
        yield Measure(f"{variant.name}: {fault['fault']}, rows lost", (lost,), "", 0)
        if variant is SHIPPED and fault["fault"] in LIMITS:
            p95 = (fault["write_outage"]["p95"],)
            yield Measure(
                f"{variant.name}: {fault['fault']}, p95", p95, limit=LIMITS[fault["fault"]]
            )


def measure(
    rounds: int = 1, faults: Sequence[str] = FAULTS, others: Sequence[Variant] = OTHERS
) -> list[Measure]:
    """All of it; a ratio tells how many times the others' median ours is."""
    document = drill(SHIPPED, faults, rounds)
    ours = outages(SHIPPED, document)
    measures = [*ours.values(), *totals(SHIPPED, document)]
    for variant in others:
        document = drill(variant, faults, rounds)
        theirs = outages(variant, document)
        measures += [*theirs.values(), *totals(variant, document)]
        measures += [
            ratio(f"{fault}: as shipped / {variant.name}", one, theirs[fault], 1.0)
            for fault, one in ours.items()
            if fault in theirs and theirs[fault].median
        ]
    return measures


def main() -> None:
    """Measure as asked, print the table and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument(
        "--fault", action="append", dest="faults", help="by default all with limits"
    )
    parser.add_argument("--alone", action="store_true", help="leave the other timings out")
    given = parser.parse_args()
    faults = given.faults or list(LIMITS)
    measures = measure(given.rounds, faults, () if given.alone else OTHERS)
    show(measures)
    keep(measures)


if __name__ == "__main__":
    main()
