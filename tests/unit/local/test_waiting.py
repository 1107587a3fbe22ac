from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from pgstead.errors import NotReady
from pgstead.waiting import wait


@dataclass
class Time:
    """Time that passes only when somebody sleeps."""

    now: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def test_what_is_ready_is_given_at_once() -> None:
    time = Time()
    assert wait(lambda: 7, deadline=1, what="it", clock=time.clock, sleep=time.sleep) == 7
    assert time.pauses == []


def test_pauses_grow_up_to_the_longest_and_end_at_the_deadline() -> None:
    time = Time()
    with pytest.raises(NotReady):
        wait(lambda: None, deadline=1, what="it", clock=time.clock, sleep=time.sleep)
    assert time.pauses[0] == 0.02
    assert max(time.pauses) == 0.25
    assert time.now == pytest.approx(1)


def test_the_error_says_what_for_how_long_and_why() -> None:
    time = Time()
    with pytest.raises(NotReady, match=r"waited 3\.0 s for the moon, in vain: it is cloudy"):
        wait(
            lambda: None,
            deadline=3,
            what="the moon",
            error=lambda: "it is cloudy",
            clock=time.clock,
            sleep=time.sleep,
        )


def test_successes_have_to_come_in_a_row() -> None:
    time = Time()
    answers = iter([1, 2, None, 3, 4, 5])
    found = wait(
        lambda: next(answers),
        deadline=9,
        what="it",
        successes=3,
        clock=time.clock,
        sleep=time.sleep,
    )
    assert found == 5


def test_false_is_no_success() -> None:
    time = Time()
    answers = iter([False, True])
    assert wait(lambda: next(answers), deadline=1, what="it", clock=time.clock, sleep=time.sleep)
