"""Work that is no apply, and that Ctrl-C ends at its next wait all the same."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from pgstead.engine.aside import Aside
from pgstead.errors import Interrupted, PgsteadError
from pgstead.waiting import interruption

T = TypeVar("T")

Tell = Callable[[], None]
"""Says to the user that the work is about to stop."""


def nobody() -> None:
    """Tell nobody."""


def stoppable(work: Callable[[], T], *, message: str, hint: str, tell: Tell = nobody) -> T:
    """What `work` gives. On Ctrl-C every wait within it ends, those of its threads as well.

    Raises `Interrupted` with that message and hint once the work has stopped.
    """
    done: list[T] = []
    aside = Aside(lambda: done.append(work()))
    try:
        aside.wait()
    except KeyboardInterrupt:
        interruption.set()
        with suppress(OSError):  # a terminal that is gone
            tell()
        with suppress(PgsteadError):
            aside.wait()
        raise Interrupted(message, hint=hint) from None
    finally:
        interruption.clear()
    return done[0]
