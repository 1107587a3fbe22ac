"""What a round cost, told by its ledger and the rows that are there in the end. Pure."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence

from pgstead.drills.ledger import Attempt, Heard, Ledger, Log, Work
from pgstead.drills.verdict import (
    STEP,
    ClientVerdict,
    Promotion,
    Pulse,
    RowsVerdict,
    Span,
    Verdict,
)

NOTICED = 0.2
"""Seconds without an acknowledgement that count as an outage: less happens on any busy machine."""


def judge(ledger: Ledger, found: Sequence[int] | None) -> Verdict:
    """The verdict; `found` are the ids that are there, None if they could not be read."""
    course = ledger.course

    def after(moment: float | None) -> float | None:
        return None if moment is None else moment - course.called

    watched = ledger.of(Work.WATCH)
    return Verdict(
        ledger.fault,
        ledger.number,
        ledger.started,
        course.damage,
        course.struck - course.called,
        after(course.restored),
        after(course.whole),
        ledger.unaided,
        tuple(_client(log, ledger) for log in ledger.logs if log.work is not Work.WATCH),
        None if found is None else rows(ledger.of(Work.WRITE), found),
        promotions(watched, course.called),
        timelines(watched),
        turns(ledger.of(Work.WRITE), course.called),
        tuple(Heard(one.at - course.called, one.text) for one in ledger.heard),
        _pulse(ledger),
        ledger.problem,
    )


def rows(logs: Iterable[Log], found: Sequence[int]) -> RowsVerdict:
    """Which rows were lost, came although nobody was told so, or came twice."""
    acknowledged = {
        attempt.row
        for log in logs
        for attempt in log.attempts
        if attempt.row is not None and attempt.acknowledged
    }
    there = Counter(found)
    return RowsVerdict(
        len(acknowledged),
        len(found),
        tuple(sorted(acknowledged - there.keys())),
        tuple(sorted(there.keys() - acknowledged)),
        tuple(sorted(row for row, times in there.items() if times > 1)),
    )


def _client(log: Log, ledger: Ledger) -> ClientVerdict:
    called = ledger.course.called
    spans = gaps(log.attempts, called, ledger.ended)
    errors = Counter(each.error for each in log.attempts if each.error and each.ended >= called)
    return ClientVerdict(
        log.client,
        log.work,
        sum(each.acknowledged for each in log.attempts),
        max((end - begin for begin, end in spans), default=0.0),
        tuple((begin - called, end - called) for begin, end in spans if end - begin >= NOTICED),
        tuple(errors.most_common()),
    )


def gaps(attempts: Iterable[Attempt], since: float, until: float) -> tuple[Span, ...]:
    """The times between acknowledgements, of those that reach into `since` to `until`.

    The last one ends at `until`. Before the first acknowledgement there is no gap, unless there
    is none at all: then it is the whole time.
    """
    moments = [each.ended for each in attempts if each.acknowledged and each.ended < until]
    ends = [*(moments or [since]), until]
    return tuple((a, b) for a, b in itertools.pairwise(ends) if b > since)


def _pulse(ledger: Ledger) -> Pulse:
    begin, end = ledger.began, ledger.ended
    return Pulse(
        begin - ledger.course.called,
        counts(ledger.of(Work.WRITE), begin, end),
        counts(ledger.of(Work.READ), begin, end),
    )


def counts(logs: Iterable[Log], begin: float, end: float) -> tuple[int, ...]:
    """How many acknowledgements came in each `STEP` from `begin` to `end`."""
    steps = [0] * (int((end - begin) / STEP) + 1)
    for log in logs:
        for attempt in log.attempts:
            if attempt.acknowledged and begin <= attempt.ended <= end:
                steps[int((attempt.ended - begin) / STEP)] += 1
    return tuple(steps)


def promotions(watched: Iterable[Log], since: float) -> tuple[Promotion, ...]:
    """Each time that a member was first seen to take writes on a new timeline, from `since` on.

    Every promotion begins a timeline; a primary that only restarts goes on with its own.
    """
    newest: int | None = None
    made: list[Promotion] = []
    for at, machine, timeline in sorted(_sightings(watched)):
        if newest is not None and timeline > newest and at >= since:
            made.append(Promotion(at - since, machine, timeline))
        newest = max(newest or 0, timeline)
    return tuple(made)


def timelines(watched: Iterable[Log]) -> tuple[int, ...]:
    """The timelines on which members were seen to take writes, in order."""
    return tuple(sorted({timeline for _, _, timeline in _sightings(watched)}))


def turns(logs: Iterable[Log], since: float) -> int:
    """How often, from `since` on, a write was acknowledged by another server than the last one.

    A leader that hands over, or dies, costs one; two that take writes at the same time cost one
    nearly each time that two clients are with different ones.
    """
    said = sorted(
        (each.ended, each.said)
        for log in logs
        for each in log.attempts
        if each.acknowledged and each.said and each.ended >= since
    )
    return sum(one != other for (_, one), (_, other) in itertools.pairwise(said))


def _sightings(watched: Iterable[Log]) -> Iterable[tuple[float, str, int]]:
    """When which member was seen to take writes, and on which timeline."""
    for log in watched:
        for each in log.attempts:
            if each.acknowledged and each.said:
                yield each.ended, log.client, int(each.said, 16)
