"""Nothing that happened to a row, or to a client, escapes the judge."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgstead.drills.judge import NOTICED, counts, gaps, judge, promotions, rows, timelines
from pgstead.drills.ledger import Attempt, Work
from support.drills import BEGAN, ENDED, STRUCK, attempts, every, ledger, log, verdict


def test_a_doctored_ledger_shows_lost_ghost_and_duplicate_rows() -> None:
    good = attempts([100.0, 100.1, 100.2, 100.3])
    failed = attempts([100.4, 100.5], first=5, error="server closed the connection")
    found = [1, 2, 2, 4, 6]  # 3 is gone, 2 is there twice, 6 is there although it failed
    told = judge(ledger(log([*good, *failed])), found)
    assert told.rows is not None
    assert (told.rows.lost, told.rows.ghosts, told.rows.duplicates) == ((3,), (6,), (2,))
    assert (told.rows.acknowledged, told.rows.found) == (4, 5)
    assert not told.sound


def test_a_ghost_alone_is_no_fault_and_a_lost_or_doubled_row_is() -> None:
    assert verdict(found=[99999]).sound
    assert not verdict(found=[1]).sound
    tried = attempts([100.0, 100.1])
    assert not judge(ledger(log(tried)), [1]).sound


def test_rows_that_cannot_be_read_are_no_rows_that_were_kept() -> None:
    told = verdict(found=None)
    assert told.rows is None
    assert not told.sound


def test_a_round_with_a_problem_is_not_sound() -> None:
    assert not verdict(problem="waited 300 s for the cluster to be whole, in vain").sound


@given(
    sent=st.lists(st.booleans(), max_size=40),
    spoilt=st.lists(st.tuples(st.integers(1, 50), st.integers(0, 3)), max_size=20),
)
def test_every_row_is_told_for_what_it_is(sent: list[bool], spoilt: list[tuple[int, int]]) -> None:
    tried = [
        Attempt(row, 100.0, 100.0, "" if good else "broken") for row, good in enumerate(sent, 1)
    ]
    there = {row: 1 for row, good in enumerate(sent, 1) if good} | dict(spoilt)
    told = rows([log(tried[::2]), log(tried[1::2])], list(Counter(there).elements()))
    acknowledged = {row for row, good in enumerate(sent, 1) if good}
    assert set(told.lost) == {row for row in acknowledged if not there.get(row)}
    assert set(told.ghosts) == {
        row for row, times in there.items() if times and row not in acknowledged
    }
    assert set(told.duplicates) == {row for row, times in there.items() if times > 1}


def test_an_outage_is_the_time_between_two_acknowledgements() -> None:
    told = verdict(4.0)
    assert told.write_outage == pytest.approx(4.0)
    (client,) = told.clients
    ((begin, end),) = client.outages
    assert begin == pytest.approx(-0.05)
    assert end == pytest.approx(3.95)


def test_errors_in_between_do_not_shorten_an_outage() -> None:
    tried = [
        *attempts(every(0.05, BEGAN, STRUCK)),
        *attempts(every(0.05, STRUCK, STRUCK + 3), first=1000, error="refused"),
        *attempts(every(0.05, STRUCK + 3, ENDED), first=2000),
    ]
    told = judge(ledger(log(tried)), [])
    assert told.write_outage == pytest.approx(3.05)
    assert told.clients[0].errors == (("refused", 60),)


def test_a_pause_before_the_strike_is_no_outage_nor_is_one_that_nobody_notices() -> None:
    moments = [BEGAN, *every(0.05, BEGAN + 1.5, STRUCK + 2)]
    moments += every(0.05, moments[-1] + NOTICED * 0.9, ENDED)
    told = judge(ledger(log(attempts(moments))), [])
    assert told.write_outage == 0
    assert told.clients[0].longest_gap == pytest.approx(NOTICED * 0.9)


def test_writes_that_never_come_back_are_an_outage_until_the_end() -> None:
    told = judge(ledger(log(attempts(every(0.05, BEGAN, STRUCK)))), [])
    assert told.write_outage == pytest.approx(ENDED - STRUCK + 0.05)
    assert judge(ledger(log([])), []).write_outage == pytest.approx(ENDED - STRUCK)


def test_the_worst_client_counts_and_reads_count_apart() -> None:
    well = log(attempts(every(0.05, BEGAN, ENDED)), "persistent")
    ill = log(attempts([*every(0.05, BEGAN, STRUCK), ENDED - 1]), "reconnecting")
    told = judge(ledger(well, ill), [])
    assert told.write_outage == pytest.approx(9.05)
    assert told.read_outage is None
    reader = log(
        [Attempt(None, at, at) for at in [*every(0.05, BEGAN, STRUCK), *every(0.05, 103, ENDED)]],
        "reader",
        Work.READ,
    )
    assert judge(ledger(well, reader), []).read_outage == pytest.approx(3.05)
    assert judge(ledger(well, reader), []).write_outage == 0


@given(st.lists(st.floats(BEGAN, ENDED, exclude_max=True), max_size=30).map(sorted))
def test_gaps_cover_all_time_from_the_strike_to_the_end(moments: list[float]) -> None:
    spans = gaps(attempts(moments), STRUCK, ENDED)
    assert spans[-1][1] == ENDED
    assert all(a[1] == b[0] for a, b in itertools.pairwise(spans))
    assert spans[0][0] <= max(STRUCK, min(moments, default=0.0))


def test_a_promotion_is_the_first_sight_of_a_new_timeline() -> None:
    before = [Attempt(None, at, at, said="00000003") for at in every(0.1, BEGAN, STRUCK)]
    after = [Attempt(None, 104.0, 104.0, said="00000003")]  # thawed, and not yet told
    standby = [Attempt(None, at, at) for at in every(0.1, BEGAN, 103)]
    leads = [Attempt(None, at, at, said="00000004") for at in every(0.1, 103, ENDED)]
    watched = [
        log([*before, *after], "postgres-1", Work.WATCH),
        log([*standby, *leads], "postgres-2", Work.WATCH),
    ]
    (promotion,) = promotions(watched, STRUCK)
    assert (promotion.machine, promotion.timeline) == ("postgres-2", 4)
    assert promotion.at == pytest.approx(3.0)
    assert timelines(watched) == (3, 4)
    told = judge(ledger(*watched), [])
    assert (told.timeline_changes, told.clients) == (1, ())


def test_a_primary_that_restarts_is_not_promoted() -> None:
    seen = [Attempt(None, at, at, said="0000000A") for at in (98.5, 105.0)]
    failed = [Attempt(None, 102.0, 102.0, error="refused", said="0000000B")]
    watched = [log([*seen, *failed], "postgres-1", Work.WATCH)]
    assert promotions(watched, STRUCK) == ()
    assert timelines(watched) == (10,)


def led(*servers: str) -> list[Attempt]:
    """A row every tenth of a second from the strike on, acknowledged by those servers."""
    return [
        Attempt(n, STRUCK + n / 10, STRUCK + n / 10, said=server)
        for n, server in enumerate(servers, 1)
    ]


def test_two_servers_that_take_writes_at_the_same_time_are_told() -> None:
    before = [Attempt(None, BEGAN, BEGAN, said="00000001")]
    after = [Attempt(None, STRUCK + 1, STRUCK + 1, said="00000002")]
    watched = [log(before, "postgres-1", Work.WATCH), log(after, "postgres-2", Work.WATCH)]
    found = [1, 2, 3, 4]
    taken_over = judge(ledger(log(led("a", "a", "b", "b")), *watched), found)
    assert (taken_over.turns, taken_over.rivals, taken_over.sound) == (1, False, True)
    both = judge(ledger(log(led("a", "b", "a", "b")), *watched), found)
    assert (both.turns, both.rivals, both.sound) == (3, True, False)
    unseen = judge(ledger(log(led("a", "b", "a", "b"))), found)
    assert (unseen.rivals, unseen.timeline_changes) == (False, None)


def test_acknowledgements_are_counted_in_tenths_of_a_second() -> None:
    told = counts([log(attempts([0.01, 0.02, 0.11])), log(attempts([0.15, 0.35]))], 0.0, 0.39)
    assert told == (2, 2, 0, 1)
    assert sum(told) == 5
