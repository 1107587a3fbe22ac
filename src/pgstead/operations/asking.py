"""How an operation talks to its user."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from pgstead.engine.apply import Progress
from pgstead.engine.plan import Plan


@dataclass(frozen=True)
class Asking:
    """What to show, whom to ask, who watches."""

    accept: Callable[[Plan], bool]
    watching: Callable[[], AbstractContextManager[Progress]]
    warn: Callable[[tuple[str, ...]], None] = field(default=lambda _: None)
