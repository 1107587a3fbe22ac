"""The figures of many rounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgstead.drills.series import by_fault, percentile, summarise
from support.drills import verdict


def test_median_percentile_and_maximum_of_the_rounds() -> None:
    series = summarise([verdict(float(n), number=n) for n in (1, 2, 3, 4, 9)])
    assert series.write_outage.median == pytest.approx(3)
    assert series.write_outage.p95 == series.write_outage.max == pytest.approx(9)
    assert series.read_outage is None
    assert series.whole is not None
    assert series.whole.median == pytest.approx(8)
    assert (series.rounds, series.lost, series.duplicates, series.unsound) == (5, 0, 0, ())


def test_rows_of_all_rounds_are_counted_and_a_bad_round_is_named() -> None:
    series = summarise([verdict(), verdict(number=2, found=[1, 2, 77777])])
    assert (series.ghosts, series.duplicates, series.unsound) == (1, 2, (2,))


def test_a_round_whose_rows_are_not_known_leaves_the_counts_unknown() -> None:
    series = summarise([verdict(), verdict(number=2, found=None)])
    assert (series.lost, series.ghosts, series.duplicates) == (None, None, None)
    assert series.unsound == (2,)


def test_faults_keep_the_order_of_their_first_rounds() -> None:
    found = by_fault([verdict(fault=name) for name in ("b", "a", "b")])
    assert {name: len(rounds) for name, rounds in found.items()} == {"b": 2, "a": 1}
    assert list(found) == ["b", "a"]


@given(st.lists(st.floats(0, 1000), min_size=1), st.floats(1, 100))
def test_a_percentile_is_one_of_the_figures_and_enough_do_not_exceed_it(
    figures: list[float], share: float
) -> None:
    found = percentile(figures, share)
    assert found in figures
    assert sum(each <= found for each in figures) * 100 >= share * len(figures) - 1e-6
    smaller = [each for each in figures if each < found]
    assert len(smaller) * 100 < share * len(figures) + 1e-6


def test_of_twenty_figures_the_95th_percentile_is_the_last_but_one() -> None:
    assert percentile(list(range(1, 21)), 95) == 19
    assert percentile(list(range(1, 20)), 95) == 19
    with pytest.raises(ValueError, match="no figures"):
        percentile([], 95)
