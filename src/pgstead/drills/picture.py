"""A round as a picture: where everything stands, in the units of an SVG's view box. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pgstead.drills.verdict import STEP, ClientVerdict, Verdict
from pgstead.redaction import redact

WIDTH, LEFT, RIGHT = 1000.0, 150.0, 15.0
LABEL, CHART, READS, STRIP, AXIS = 12.0, 110.0, 26.0, 13.0, 22.0
"""Heights: one mark's label, the writes, the reads, one client's line, the axis."""

TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
"""Seconds between two ticks of the axis: the first that gives at most `MOST_TICKS`."""

MOST_TICKS = 14


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on the axis."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened; its label stands at `y`, and ends at `x` where `left`."""

    x: float
    y: float
    kind: str
    label: str
    left: bool


@dataclass(frozen=True, slots=True)
class Bar:
    """An outage."""

    x: float
    width: float
    label: str


@dataclass(frozen=True, slots=True)
class Strip:
    """A client's line, with its outages."""

    y: float
    client: str
    outages: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """All of it. `writes` and `reads` are paths; `most` is how many writes the top stands for."""

    height: float
    writes: str
    reads: str
    most: int
    top: float
    base: float
    reads_base: float
    axis: float
    ticks: tuple[Tick, ...]
    marks: tuple[Mark, ...]
    strips: tuple[Strip, ...]


def picture(verdict: Verdict) -> Picture:
    """The picture of a round."""
    pulse = verdict.pulse
    scale = _Scale(pulse.begin, pulse.begin + len(pulse.writes) * STEP)
    marks = tuple(_marks(verdict, scale))
    top = LABEL * len(marks) + 4
    base = top + CHART
    reads_base = base + (READS if any(pulse.reads) else 0.0)
    axis = reads_base + 6 + STRIP * len(verdict.clients)
    return Picture(
        axis + AXIS,
        _area(pulse.writes, scale, base, CHART),
        _area(pulse.reads, scale, reads_base, READS - 6) if any(pulse.reads) else "",
        max(pulse.writes, default=0),
        top,
        base,
        reads_base,
        axis,
        tuple(_ticks(scale)),
        marks,
        tuple(
            _strip(client, scale, reads_base + 6 + STRIP * place)
            for place, client in enumerate(verdict.clients)
        ),
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    """From seconds to places."""

    begin: float
    end: float

    def x(self, seconds: float) -> float:
        share = (seconds - self.begin) / (self.end - self.begin)
        return round(LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - RIGHT), 1)


def _area(counts: Sequence[int], scale: _Scale, base: float, height: float) -> str:
    """Columns of one colour as one path, drawn only where the height changes."""
    most = max(counts, default=0) or 1
    words = [f"M{scale.x(scale.begin):g} {base:g}"]
    level = 0
    for place, count in enumerate([*counts, 0]):
        if count != level:
            x, y = scale.x(scale.begin + place * STEP), round(base - height * count / most, 1)
            words.append(f"H{x:g}V{y:g}")
            level = count
    return "".join(words) + "Z"


def _ticks(scale: _Scale) -> Iterable[Tick]:
    length = scale.end - scale.begin
    step = next((each for each in TICKS if length / each <= MOST_TICKS), TICKS[-1])
    first = int(scale.begin / step)
    for number in range(first, int(scale.end / step) + 1):
        yield Tick(scale.x(number * step), f"{number * step:g}")


def _marks(verdict: Verdict, scale: _Scale) -> Iterable[Mark]:
    events = [(verdict.struck, "fault", redact(verdict.damage))]
    events += [
        (each.at, "promotion", f"{each.machine} takes writes on timeline {each.timeline}")
        for each in verdict.promotions
    ]
    if verdict.restored is not None:
        events.append((verdict.restored, "restored", "restored"))
    if verdict.whole is not None:
        events.append((verdict.whole, "whole", "whole again"))
    events += [(one.at, "heard", redact(one.text)) for one in verdict.heard]
    for place, (at, kind, label) in enumerate(sorted(events)):
        x = scale.x(at)
        words = label if kind == "fault" else f"{label} ({at:.1f} s)"
        yield Mark(x, LABEL * (place + 1) - 1, kind, words, x > WIDTH * 0.6)


def _strip(client: ClientVerdict, scale: _Scale, y: float) -> Strip:
    bars = tuple(
        Bar(
            scale.x(begin),
            max(round(scale.x(end) - scale.x(begin), 1), 1.0),
            f"{client.client}: {end - begin:.2f} s from {begin:.2f} s on",
        )
        for begin, end in client.outages
    )
    return Strip(y, client.client, bars)
