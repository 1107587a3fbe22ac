"""Waiting for a condition, with a deadline: what stands wherever others would sleep."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from pgstead.errors import Interrupted, NotReady

T = TypeVar("T")

SHORTEST = 0.02
LONGEST = 0.25

interruption = threading.Event()
"""Set while the user wants the work to stop: every wait of this process ends at its next pause."""


def pause(seconds: float) -> None:
    """Let time pass. Raises `Interrupted` once the user wants the work to stop."""
    if interruption.wait(seconds):
        raise Interrupted(
            "stopped; what was done is recorded",
            hint="run the same command again to go on where it stopped",
        )


def wait(
    ready: Callable[[], T | None],
    *,
    deadline: float,
    what: str,
    error: Callable[[], str | None] = lambda: None,
    successes: int = 1,
    interval: tuple[float, float] = (SHORTEST, LONGEST),
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = pause,
) -> T:
    """Ask `ready` until it gives something, `successes` times in a row; the first ask is at once.

    Args:
        ready: Gives the result, or None while it is not there. False counts as None.
        deadline: Seconds from now.
        what: What is waited for, in words that fit after "waited for".
        error: The last reason, in words, for the message when the deadline passes.
        successes: How many results in a row it takes.
        interval: The first and the longest pause between two asks, in seconds.
        clock: Gives the time in seconds.
        sleep: Lets time pass.

    Raises:
        NotReady: The deadline passed; the message says what was waited for, how long, and
            the last reason.
        Interrupted: The user wants the work to stop.
    """
    started = clock()
    seconds, longest = interval
    in_a_row = 0
    while True:
        result = ready()
        in_a_row = in_a_row + 1 if result is not None and result is not False else 0
        if result is not None and in_a_row >= successes:
            return result
        waited = clock() - started
        if waited >= deadline:
            raise _late(what, waited, error())
        sleep(min(seconds, max(deadline - waited, 0.0)))
        seconds = min(seconds * 1.5, longest)


def latest(
    look: Callable[[], T],
    enough: Callable[[T], bool],
    *,
    deadline: float,
    interval: tuple[float, float],
) -> T:
    """What `look` gives as soon as that is `enough`, or what it gave last within `deadline`.

    It looks once at least; times are as those of `wait`. Raises `Interrupted`, as that does.
    """
    seen: list[T] = []

    def ready() -> bool:
        seen[:] = [look()]
        return enough(seen[0])

    try:
        wait(ready, deadline=deadline, what="what is enough", interval=interval)
    except NotReady:
        if not seen:  # the first look's own
            raise
    return seen[0]


def _late(what: str, waited: float, reason: str | None) -> NotReady:
    why = f": {reason}" if reason else ""
    return NotReady(
        f"waited {waited:.1f} s for {what}, in vain{why}",
        hint="a rerun goes on from here",
    )
