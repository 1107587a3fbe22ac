"""How long the cloud may take for what it makes, counted from when it began."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from pgstead.waiting import latest

POLL = (0.2, 2.0)
AGAIN_ANEW = "a rerun deletes it and asks for it again"


class Begun(Protocol):
    """Something that the cloud makes, as it was seen last."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def status(self) -> str:
        """In the cloud's own word."""

    @property
    def created(self) -> datetime:
        """When the cloud was asked for it, by its own clock."""


B = TypeVar("B", bound=Begun)


def now() -> datetime:
    """Now."""
    return datetime.now(UTC)


def moment(text: Any) -> datetime:
    """When something was, as the cloud tells it: in UTC, even where it does not say so.

    Now, where it does not tell: cinder and nova may not have noted it yet.
    """
    if not text:
        return now()
    found = datetime.fromisoformat(str(text))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def left(began: datetime, seconds: float) -> float:
    """Of so many seconds since then, those that are left; never more, whatever the clocks say."""
    age = (now() - began).total_seconds()
    return min(max(seconds - age, 0.0), seconds)


def settled(
    begun: B, look: Callable[[], B | None], making: Collection[str], seconds: float
) -> B | None:
    """As it is once the cloud has made it, or its time for that is up; None if it is gone.

    What is still being made then never will be: the request for it has died with one of the
    cloud's processes.

    Args:
        begun: As it was seen last.
        look: Gives it as it is now; None once it is gone.
        making: What its status is while it is being made.
        seconds: How long that may take, since it was begun.
    """
    if begun.status not in making:
        return begun
    return latest(
        look,
        lambda seen: seen is None or seen.status not in making,
        deadline=left(begun.created, seconds),
        interval=POLL,
    )
