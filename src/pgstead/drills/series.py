"""Many rounds of one fault: what they cost on the whole. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pgstead.drills.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Spread:
    """How figures are spread, in their own unit."""

    median: float
    p95: float
    max: float


@dataclass(frozen=True, slots=True)
class Series:
    """All rounds of one fault. Spreads are seconds, None where no round has the figure.

    `lost`, `ghosts` and `duplicates` count rows in all rounds; None where the rows of one
    could not be read. `unsound` are the numbers of the rounds that were not (`Verdict.sound`).
    """

    fault: str
    rounds: int
    write_outage: Spread
    read_outage: Spread | None
    whole: Spread | None
    acknowledged: int
    lost: int | None
    ghosts: int | None
    duplicates: int | None
    timeline_changes: int | None
    unsound: tuple[int, ...]


def by_fault(verdicts: Iterable[Verdict]) -> Mapping[str, Sequence[Verdict]]:
    """The verdicts of each fault, in the order of the faults' first rounds."""
    found: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        found.setdefault(verdict.fault, []).append(verdict)
    return found


def summarise(verdicts: Sequence[Verdict]) -> Series:
    """The series of one fault's rounds; there is at least one."""
    rows = [verdict.rows for verdict in verdicts]
    return Series(
        verdicts[0].fault,
        len(verdicts),
        _spread([verdict.write_outage for verdict in verdicts]) or Spread(0, 0, 0),
        _spread([verdict.read_outage for verdict in verdicts]),
        _spread([verdict.whole for verdict in verdicts]),
        sum(each.acknowledged for each in rows if each),
        _sum(len(each.lost) if each else None for each in rows),
        _sum(len(each.ghosts) if each else None for each in rows),
        _sum(len(each.duplicates) if each else None for each in rows),
        _sum(verdict.timeline_changes for verdict in verdicts),
        tuple(verdict.number for verdict in verdicts if not verdict.sound),
    )


def _sum(counts: Iterable[int | None]) -> int | None:
    """The sum; None if one of them is not known."""
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total


def _spread(figures: Iterable[float | None]) -> Spread | None:
    known = [figure for figure in figures if figure is not None]
    if not known:
        return None
    return Spread(statistics.median(known), percentile(known, 95), max(known))


def percentile(figures: Sequence[float], share: float) -> float:
    """The nearest rank: the smallest figure that at least `share` percent do not exceed.

    No value in between is made up; of fewer than twenty figures the 95th percentile is their
    largest. Raises `ValueError` for no figures.
    """
    if not figures:
        raise ValueError("no figures")
    rank = math.ceil(len(figures) * share / 100)
    return sorted(figures)[max(rank, 1) - 1]
