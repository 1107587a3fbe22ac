"""What a drill's figures must be, e.g. `p95(write_outage) <= 5s`: a tiny language of its own.

    [FAULT:] METRIC OP NUMBER [ms|s|min]               in every round
    [FAULT:] FUNCTION(METRIC) OP NUMBER [ms|s|min]     over all rounds of a fault

It holds for each fault by itself, or for the one that it names.
"""

from __future__ import annotations

import operator
import re
import statistics
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from pgstead.drills.series import by_fault, percentile
from pgstead.drills.verdict import RowsVerdict, Verdict
from pgstead.errors import SpecError

OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
FUNCTIONS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "min": min,
    "median": statistics.median,
    "mean": statistics.mean,
    "p90": lambda figures: percentile(figures, 90),
    "p95": lambda figures: percentile(figures, 95),
    "p99": lambda figures: percentile(figures, 99),
    "max": max,
    "sum": sum,
}
UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0}


def _rows(count: Callable[[RowsVerdict], int]) -> Callable[[Verdict], float | None]:
    return lambda verdict: None if verdict.rows is None else count(verdict.rows)


SECONDS: Mapping[str, Callable[[Verdict], float | None]] = {
    "write_outage": lambda verdict: verdict.write_outage,
    "read_outage": lambda verdict: verdict.read_outage,
    "whole": lambda verdict: verdict.whole,
}
COUNTS: Mapping[str, Callable[[Verdict], float | None]] = {
    "lost": _rows(lambda rows: len(rows.lost)),
    "ghosts": _rows(lambda rows: len(rows.ghosts)),
    "duplicates": _rows(lambda rows: len(rows.duplicates)),
    "acknowledged": _rows(lambda rows: rows.acknowledged),
    "timeline_changes": lambda verdict: verdict.timeline_changes,
}
METRICS = {**SECONDS, **COUNTS}

_FORM = re.compile(
    r"""\s* (?: (?P<fault> [a-z0-9][a-z0-9-]*) \s* : )?
    \s* (?: (?P<function> \w+) \s* \( \s* (?P<inner> \w+) \s* \) | (?P<plain> \w+) )
    \s* (?P<operator> <= | >= | == | != | < | > )
    \s* (?P<number> \d+ (?: \.\d+ )? ) \s* (?P<unit> [a-z]+ )? \s*""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Assertion:
    """A demand. `limit` is in seconds for what is a time; `function` None means every round."""

    text: str
    fault: str | None
    function: str | None
    metric: str
    compare: str
    limit: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether a demand is met for one fault, and by which figure; None where there is none.

    `unit` is `s` for a time, empty for a count.
    """

    text: str
    fault: str
    figure: float | None
    unit: str
    holds: bool


def parse(text: str, faults: Collection[str]) -> Assertion:
    """The demand that `text` states; `faults` are those that the drill strikes.

    Raises `SpecError` that says which part cannot be understood, and what could stand there.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise SpecError(
            f"cannot understand the assertion {text!r}",
            hint="it takes e.g. 'p95(write_outage) <= 5s', 'lost == 0',"
            " 'machine-dead: max(whole) < 2min'",
        )
    metric = found["inner"] or found["plain"]
    _known(text, "figure", metric, METRICS)
    if found["function"]:
        _known(text, "function", found["function"], FUNCTIONS)
    if found["fault"]:
        _known(text, "fault of this drill", found["fault"], faults)
    number = float(found["number"])
    limit = number * _unit(text, metric, found["unit"]) if number or found["unit"] else 0.0
    return Assertion(
        text.strip(), found["fault"], found["function"], metric, found["operator"], limit
    )


def _known(text: str, what: str, given: str, names: Collection[str]) -> None:
    if given not in names:
        known = ", ".join(sorted(names))
        raise SpecError(f"{given!r} is no {what} in {text!r}", hint=f"there are: {known}")


def _unit(text: str, metric: str, unit: str | None) -> float:
    if metric in COUNTS:
        if unit:
            raise SpecError(f"{metric} is a count and takes no unit in {text!r}")
        return 1.0
    if unit not in UNITS:
        given = f"{unit!r} is no unit" if unit else f"{metric} is a time and wants a unit"
        raise SpecError(f"{given} in {text!r}", hint=f"units are: {', '.join(UNITS)}")
    return UNITS[unit]


def check(assertion: Assertion, verdicts: Sequence[Verdict]) -> tuple[Outcome, ...]:
    """Whether it holds, for each fault that it is about.

    A figure that is missing holds nothing, nor does a fault that was asked about and not struck.
    """
    struck = by_fault(verdicts)
    about = [assertion.fault] if assertion.fault else list(struck)
    return tuple(_outcome(assertion, fault, struck.get(fault, ())) for fault in about)


def _outcome(assertion: Assertion, fault: str, rounds: Sequence[Verdict]) -> Outcome:
    figure, holds = _judged(assertion, [METRICS[assertion.metric](each) for each in rounds])
    unit = "s" if assertion.metric in SECONDS else ""
    return Outcome(assertion.text, fault, figure, unit, holds)


def _judged(assertion: Assertion, figures: Sequence[float | None]) -> tuple[float | None, bool]:
    """The figure that decides, and whether it is as it must be."""
    known = [figure for figure in figures if figure is not None]
    if not known or len(known) < len(figures):
        return None, False
    compare = OPERATORS[assertion.compare]
    if assertion.function:
        figure = FUNCTIONS[assertion.function](known)
        return figure, compare(figure, assertion.limit)
    failing = [figure for figure in known if not compare(figure, assertion.limit)]
    return (failing or known)[0], not failing
