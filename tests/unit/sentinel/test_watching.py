"""What wakes a sentinel up before its pause is over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pgstead.errors import Interrupted
from pgstead.operations.sentinel import FreshGround
from pgstead.platforms.base import Tells
from pgstead.sentinel.watching import Bell, Post, _told
from pgstead.waiting import interruption

LONG = 60.0
"""Seconds that no test lasts."""


class Teller:
    """Tells of a change as soon as it is listened to; `over` once nobody listens."""

    over = False

    @contextmanager
    def watch(self, machines: Collection[str], changed: Callable[[], None]) -> Iterator[None]:
        assert set(machines) == {"m-1", "m-2"}
        changed()
        yield
        self.over = True


def post(platform: object) -> Post:
    target = SimpleNamespace(machine_of={"a": "m-1", "b": "m-2"})
    return cast("Post", SimpleNamespace(platform=platform, target=target))


def test_a_bell_ends_a_pause_and_only_one() -> None:
    bell = Bell()
    bell.ring()
    bell.pause(LONG)
    threading.Timer(0.02, bell.ring).start()
    bell.pause(LONG)
    bell.pause(0.001)


def test_a_pause_ends_when_the_user_wants_it() -> None:
    bell = Bell()
    bell.ring()
    interruption.set()
    try:
        with pytest.raises(Interrupted):
            bell.pause(LONG)
    finally:
        interruption.clear()


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_platform_that_tells_of_changes_rings(*, wrapped: bool) -> None:
    teller, bell = Teller(), Bell()
    ground: Any = FreshGround(lambda: cast("Any", teller)) if wrapped else teller
    with _told(post(ground), bell):
        bell.pause(LONG)
        assert not teller.over
    assert teller.over


@pytest.mark.parametrize("wrapped", [False, True])
def test_one_that_does_not_is_asked_as_before(*, wrapped: bool) -> None:
    silent: Any = object()
    assert not isinstance(silent, Tells)
    with _told(post(FreshGround(lambda: silent) if wrapped else silent), Bell()):
        pass
