"""The language of --assert."""

from __future__ import annotations

import pytest

from pgstead.drills.asserts import check, parse
from pgstead.errors import SpecError
from support.drills import verdict

FAULTS = ("leader-dead", "switchover")


@pytest.mark.parametrize(
    ("text", "function", "metric", "compare", "limit"),
    [
        ("p95(write_outage) <= 5s", "p95", "write_outage", "<=", 5.0),
        ("p95( write_outage )<=5000 ms", "p95", "write_outage", "<=", 5.0),
        ("  max(whole) < 2min ", "max", "whole", "<", 120.0),
        ("lost == 0", None, "lost", "==", 0.0),
        ("sum(ghosts) <= 3", "sum", "ghosts", "<=", 3.0),
        ("read_outage != 0.5s", None, "read_outage", "!=", 0.5),
        ("write_outage == 0", None, "write_outage", "==", 0.0),
    ],
)
def test_what_is_understood(
    text: str, function: str | None, metric: str, compare: str, limit: float
) -> None:
    made = parse(text, FAULTS)
    assert (made.function, made.metric, made.compare) == (function, metric, compare)
    assert made.limit == pytest.approx(limit)
    assert made.fault is None


def test_a_fault_may_be_named() -> None:
    assert parse("leader-dead: max(write_outage) <= 8s", FAULTS).fault == "leader-dead"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "cannot understand", "p95"),
        ("write_outage", "cannot understand", "p95"),
        ("p95(write_outage) <= 5s; import os", "cannot understand", "p95"),
        ("__import__('os') == 0", "cannot understand", "p95"),
        ("write_outage <= -1s", "cannot understand", "p95"),
        ("p95(write_outage) =< 5s", "cannot understand", "p95"),
        ("outage <= 5s", "'outage' is no figure", "write_outage"),
        ("p42(write_outage) <= 5s", "'p42' is no function", "p95"),
        ("all-dead: lost == 0", "'all-dead' is no fault of this drill", "leader-dead, switchover"),
        ("write_outage <= 5", "write_outage is a time and wants a unit", "ms, s, min"),
        ("write_outage <= 5h", "'h' is no unit", "ms, s, min"),
        ("lost == 1s", "lost is a count and takes no unit", ""),
    ],
)
def test_what_is_not_understood_is_said(text: str, message: str, hint: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        parse(text, FAULTS)
    assert hint in (caught.value.hint or "")


def outcomes(text: str, *outages: float, fault: str = "leader-dead") -> list[bool]:
    rounds = [verdict(each, number=n, fault=fault) for n, each in enumerate(outages, 1)]
    return [one.holds for one in check(parse(text, FAULTS), rounds)]


def test_without_a_function_every_round_counts() -> None:
    assert outcomes("write_outage <= 5s", 1.0, 4.0) == [True]
    assert outcomes("write_outage <= 5s", 1.0, 6.0, 2.0) == [False]
    assert outcomes("lost == 0", 1.0, 4.0) == [True]


def test_the_figure_that_decides_is_told() -> None:
    rounds = [verdict(each) for each in (1.0, 6.0, 7.0)]
    (outcome,) = check(parse("write_outage <= 5s", FAULTS), rounds)
    assert outcome.figure == pytest.approx(6.0)
    assert outcome.unit == "s"
    (outcome,) = check(parse("median(write_outage) <= 5s", FAULTS), rounds)
    assert outcome.figure == pytest.approx(6.0)
    assert not outcome.holds


def test_each_fault_is_held_to_it_by_itself() -> None:
    rounds = [verdict(1.0, fault="switchover"), verdict(9.0, fault="leader-dead")]
    told = check(parse("max(write_outage) <= 5s", FAULTS), rounds)
    assert {one.fault: one.holds for one in told} == {"switchover": True, "leader-dead": False}
    told = check(parse("switchover: max(write_outage) <= 5s", FAULTS), rounds)
    assert [(one.fault, one.holds) for one in told] == [("switchover", True)]


def test_what_is_not_known_holds_nothing() -> None:
    unread = [verdict(), verdict(number=2, found=None)]
    assert [one.holds for one in check(parse("lost == 0", FAULTS), unread)] == [False]
    assert outcomes("read_outage <= 5s", 1.0) == [False]  # nobody read
    assert outcomes("switchover: lost == 0", 1.0) == [False]  # not struck
