"""From a pure decision to steps: wait while it says wait, stop where it refuses."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from concurrent.futures import wait as wait_for
from functools import partial
from typing import Protocol, TypeVar

from pgstead.engine.resource import Step
from pgstead.errors import Refused
from pgstead.waiting import wait

K = TypeVar("K")
V = TypeVar("V")


class Decision(Protocol):
    """What `etcd_membership.Next` and `rolling.Next` have in common."""

    @property
    def do(self) -> str:
        """The next thing to do; `wait` and `refuse` are those handled here."""

    @property
    def reason(self) -> str:
        """Why."""


D = TypeVar("D", bound=Decision)

HESITATION = 0.5
"""Seconds after which a server is not waited for alone."""

DEADLINE = 90.0
"""Seconds for a cluster to become healthy by itself: above Patroni's ttl and a restart."""


def settled(
    decide: Callable[[], D], *, what: str, hint: str, deadline: float = DEADLINE
) -> Generator[Step, None, D]:
    """The decision once it is none to wait; a wait is a step of its own, so that it is seen.

    Raises `Refused` if the decision is to refuse, `NotReady` when the deadline passes.
    """
    decision = decide()
    if decision.do == "wait":
        found: list[D] = []
        yield Step(
            f"wait for {what}: {decision.reason}",
            lambda: found.append(patiently(decide, what=what, deadline=deadline)),
        )
        decision = found[0]
    if decision.do == "refuse":
        raise Refused(f"{what}: {decision.reason}", hint=hint)
    return decision


def patiently(
    decide: Callable[[], D],
    *,
    what: str,
    deadline: float = DEADLINE,
    interval: tuple[float, float] = (0.1, 0.5),
) -> D:
    """Ask again and again until the decision is none to wait."""
    last: list[str] = []

    def ask() -> D | None:
        decision = decide()
        last[:] = [decision.reason]
        return None if decision.do == "wait" else decision

    return wait(
        ask,
        deadline=deadline,
        what=what,
        error=lambda: last[0] if last else None,
        interval=interval,
    )


def first(function: Callable[[V], K | None], values: Mapping[str, V]) -> K | None:
    """What `function` gives for whichever value gives something first.

    One is asked as a rule; if it has nothing to say, or hesitates, all others are, side by
    side. Nobody waits for those that hang.
    """
    pool = ThreadPoolExecutor(max(1, len(values)))
    try:
        return _first([partial(pool.submit, function, value) for value in values.values()])
    finally:
        pool.shutdown(wait=False)


def _first(asking: Sequence[Callable[[], Future[K | None]]]) -> K | None:
    asked = {ask() for ask in asking[:1]}
    wait_for(asked, timeout=HESITATION)
    if not any(future.done() and future.result() is not None for future in asked):
        asked |= {ask() for ask in asking[1:]}
    answers = (future.result() for future in as_completed(asked))
    return next((answer for answer in answers if answer is not None), None)


def together(function: Callable[[V], K], values: Mapping[str, V]) -> dict[str, K]:
    """`function` of every value, asked side by side: one that hangs delays nobody else."""
    if not values:
        return {}
    with ThreadPoolExecutor(len(values)) as pool:
        return dict(zip(values, pool.map(function, values.values()), strict=True))
