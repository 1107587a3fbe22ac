from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from pgstead.clusters import deciding
from pgstead.clusters.rolling import Do, Next
from pgstead.engine.resource import Step
from pgstead.errors import NotReady, Refused


def decisions(*said: Next) -> Iterator[Next]:
    yield from said


def drive(steps: Generator[Step, None, Next]) -> tuple[list[str], Next]:
    titles: list[str] = []
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return titles, end.value
        titles.append(step.title)
        step.run()


def settled(*said: Next, deadline: float = 5.0) -> tuple[list[str], Next]:
    following = decisions(*said)
    return drive(
        deciding.settled(lambda: next(following), what="x", hint="do y", deadline=deadline)
    )


def test_what_can_go_on_goes_on_without_a_step() -> None:
    assert settled(Next(Do.GO)) == ([], Next(Do.GO))


def test_a_wait_is_a_step_that_says_why() -> None:
    titles, decided = settled(Next(Do.WAIT, "not yet"), Next(Do.WAIT), Next(Do.GO))
    assert titles == ["wait for x: not yet"]
    assert decided == Next(Do.GO)


def test_a_refusal_ends_it_at_once_or_after_a_wait() -> None:
    with pytest.raises(Refused, match="x: never") as raised:
        settled(Next(Do.REFUSE, "never"))
    assert raised.value.hint == "do y"
    with pytest.raises(Refused):
        settled(Next(Do.WAIT), Next(Do.REFUSE, "never"))


def test_a_wait_has_a_deadline_and_gives_the_last_reason() -> None:
    with pytest.raises(NotReady, match="the last reason"):
        settled(Next(Do.WAIT, "the first"), Next(Do.WAIT, "the last reason"), deadline=0.0)


def test_asked_side_by_side() -> None:
    assert deciding.together(lambda text: text.upper(), {"a": "x", "b": "y"}) == {
        "a": "X",
        "b": "Y",
    }
    assert deciding.together(str, {}) == {}


def test_the_first_is_asked_alone_and_all_others_only_if_it_says_nothing() -> None:
    asked: list[str] = []

    def ask(value: str) -> str | None:
        asked.append(value)
        return value if value in "bc" else None

    assert deciding.first(ask, {"x": "b", "y": "c"}) == "b"
    assert asked == ["b"]
    assert deciding.first(ask, {"x": "a", "y": "c", "z": "d"}) == "c"
    assert deciding.first(ask, {"x": "a"}) is None
    assert deciding.first(ask, {}) is None
