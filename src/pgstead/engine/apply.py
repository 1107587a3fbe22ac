"""Apply a plan: step by step, recorded before and after.

What disturbs nothing runs side by side; what disturbs something does so one at a time, in
the plan's order.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter
from itertools import pairwise
from typing import Protocol

from pgstead.engine import lost
from pgstead.engine.aside import Aside
from pgstead.engine.plan import Action, Change, Phase, Plan
from pgstead.engine.resource import (
    Data,
    Present,
    Provider,
    Recorded,
    Resource,
    Step,
    Steps,
    Unknown,
)
from pgstead.errors import Interrupted, NotReady, PgsteadError, Refused
from pgstead.machine import OnChange
from pgstead.waiting import interruption

WORKERS = 16
"""Changes made side by side: most of their time is waiting for servers."""


class Journal(Protocol):
    """Where an apply is recorded (`engine.state`)."""

    def record(self, recorded: Recorded) -> None:
        """Keep what is known of a resource."""

    def forget(self, address: str) -> None:
        """Drop a resource that is gone."""

    def step_started(self, resource: str, title: str) -> int:
        """Keep that a step begins; gives its number."""

    def step_ended(self, step: int, error: str | None = None) -> None:
        """Keep how it ended."""


class Progress(Protocol):
    """Who watches an apply. Called from several threads."""

    def change_started(self, change: Change) -> None:
        """A change begins."""

    def step_started(self, change: Change, title: str) -> None:
        """A step of it begins."""

    def change_ended(self, change: Change, error: PgsteadError | None) -> None:
        """A change is done, or failed."""

    def stopping(self) -> None:
        """The user wants the work to stop; what runs ends its step first."""


@dataclass
class Run:
    """One apply under way: who does the work, where it is recorded, who watches."""

    providers: Mapping[str, Provider]
    journal: Journal
    progress: Progress
    data: Data = Data.ASIDE
    still_held: Callable[[], None] = lambda: None
    stop: threading.Event = field(default_factory=threading.Event)


def apply(plan: Plan, run: Run) -> None:
    """Do what the plan says.

    The first failing change stops the rest at the next step's end. Raises what that
    change raised, `Refused` if the plan holds refusals, `Interrupted` on Ctrl-C.
    """
    if plan.refused:
        raise refusal(plan)
    work = Aside(lambda: _phases(plan, run))
    try:
        work.wait()
    except KeyboardInterrupt:
        _stop(run)
        work.wait()
        raise _interrupted() from None
    finally:
        interruption.clear()
    refresh(plan, run.journal.record)


def refresh(plan: Plan, record: Callable[[Recorded], None]) -> None:
    """Keep what is not compared but needed to remove a resource: its order and its place."""
    for change in plan.changes:
        known, resource = change.recorded, change.resource
        if change.action is Action.NONE and resource and known != _ready(resource):
            record(_ready(resource))


def refusal(plan: Plan) -> Refused:
    """The error that says what a plan refuses to do, and why."""
    alike: dict[str, list[str]] = {}
    for change in plan.refused:
        alike.setdefault("; ".join(change.reasons), []).append(change.address)
    lines = [f"{', '.join(them)}{_joint(them)}{reason}" for reason, them in alike.items()]
    why, hint = _why_refused([change for change in plan.refused if _is_gone(change)])
    return Refused(f"nothing was changed, since {why}:\n  " + "\n  ".join(lines), hint=hint)


def _why_refused(gone: Collection[Change]) -> tuple[str, str]:
    """What all of it has in common, and what can be done; a loss alone can be accepted."""
    if not gone:
        hint = "take it back in the stack file; `pgstead plan` shows what else would be done"
        return "the stack file asks for what cannot be done", hint
    names = " ".join(f"--recreate {address}" for address in lost.names(gone))
    return "data would be lost", f"restore it from a backup, or accept the loss by name: {names}"


def _is_gone(change: Change) -> bool:
    """Whether it is refused for what it holds no more, rather than for what is asked of it."""
    return not (change.differences or (change.resource and change.resource.refused))


def _joint(addresses: Collection[str]) -> str:
    """What stands between what a sentence is about and the sentence."""
    return " " if len(addresses) == 1 else ": "


def _stop(run: Run) -> None:
    """Begin no step any more, and end every wait within one."""
    run.stop.set()
    interruption.set()
    run.progress.stopping()


def _phases(plan: Plan, run: Run) -> None:
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="apply") as pool:
        for phase, changes in plan.phases():
            _phase(phase, changes, run, pool)


def _phase(phase: Phase, changes: tuple[Change, ...], run: Run, pool: ThreadPoolExecutor) -> None:
    order = TopologicalSorter(_waits(phase, changes))
    order.prepare()
    by_address = {change.address: change for change in changes}
    futures: dict[Future[None], str] = {}
    ready: deque[str] = deque()
    errors: list[PgsteadError] = []
    while order.is_active() and (futures or not errors):
        ready.extend(order.get_ready())
        # No more than there are workers: waiting for one of many futures looks at them all.
        while ready and len(futures) < WORKERS and not errors:
            address = ready.popleft()
            futures[pool.submit(_change, by_address[address], run)] = address
        done, _ = wait(futures, return_when=FIRST_COMPLETED)
        for future in done:
            address = futures.pop(future)
            _collect(future, errors, run)
            order.done(address)
    if errors:
        raise _first(errors)


def _waits(phase: Phase, changes: tuple[Change, ...]) -> dict[str, list[str]]:
    """Who waits for whom among the changes of one phase; deletion runs the other way round.

    What disturbs something waits for whatever does so before it in the plan.
    """
    here = {change.address for change in changes}
    waits: dict[str, list[str]] = {change.address: [] for change in changes}
    for change in changes:
        known = change.resource or change.recorded
        for other in known.after if known else ():
            if other in here and phase is Phase.DELETE:
                waits[other].append(change.address)
            elif other in here:
                waits[change.address].append(other)
    exclusive = [change.address for change in changes if change.exclusive]
    for before, after in pairwise(exclusive):
        waits[after].append(before)
    return waits


def _collect(future: Future[None], errors: list[PgsteadError], run: Run) -> None:
    error = future.exception()
    if error is None:
        return
    run.stop.set()
    if not isinstance(error, PgsteadError):
        raise error
    errors.append(error)


def _first(errors: list[PgsteadError]) -> PgsteadError:
    """What went wrong, rather than what merely stopped because of it."""
    real = [error for error in errors if not isinstance(error, Interrupted)]
    return (real or errors)[0]


def _interrupted() -> Interrupted:
    return Interrupted(
        "stopped; what was done is recorded",
        hint="run the same command again to go on where it stopped",
    )


def _change(change: Change, run: Run) -> None:
    if run.stop.is_set():
        raise _interrupted()
    run.progress.change_started(change)
    try:
        _carry_out(change, run)
    except PgsteadError as error:
        run.stop.set()
        error.add_note(change.address)
        run.progress.change_ended(change, error)
        raise
    run.progress.change_ended(change, None)


def _carry_out(change: Change, run: Run) -> None:
    """Record that it begins, do its steps, read again, record what was read."""
    if change.action is Action.FORGET:
        return run.journal.forget(change.address)
    provider = run.providers[change.kind]
    _before(change, run.journal)
    for step in _steps(change, provider, data=run.data):
        _step(change, step, run)
    if change.resource is None:
        return run.journal.forget(change.address)
    _verify(change.resource, provider)
    return run.journal.record(_ready(change.resource))


STATUS = {
    Action.CREATE: "creating",
    Action.UPDATE: "updating",
    Action.REPLACE: "replacing",
    Action.DELETE: "deleting",
}
"""What the state says of a resource while its change is under way."""


def _before(change: Change, journal: Journal) -> None:
    """Record that a change begins.

    Nothing is known any more of the values that it is about: whether old or new ones are
    in effect shows at its end alone.
    """
    status = STATUS[change.action]
    if change.resource is None:
        assert change.recorded is not None  # noqa: S101 - one of the two is always there
        journal.record(replace(change.recorded, status=status))
        return
    known = change.recorded.values if change.recorded else {}
    values = {**known, **dict.fromkeys(_uncertain(change.resource, change))}
    journal.record(replace(_ready(change.resource), status=status, values=values))


def _uncertain(resource: Resource, change: Change) -> list[str]:
    """The keys under change, but for those that only ever are put back to what is known."""
    attributes = resource.attributes
    refuse = {key for key in attributes if attributes[key].on_change is OnChange.REFUSE}
    return [key for key in change.changed if key not in refuse]


def _ready(resource: Resource) -> Recorded:
    return Recorded(
        resource.address,
        resource.kind,
        resource.values,
        "ready",
        resource.after,
        resource.place,
        holds_data=resource.holds_data,
        only_copy=resource.only_copy,
    )


def _steps(change: Change, provider: Provider, *, data: Data) -> Steps:
    if change.resource is None:
        assert change.recorded is not None  # noqa: S101 - one of the two is always there
        return provider.delete(change.recorded, data=data)
    if change.action is Action.CREATE:
        return provider.create(change.resource, recorded=change.recorded)
    if change.action is Action.REPLACE:
        assert change.recorded is not None  # noqa: S101 - only what exists is replaced
        return provider.replace(change.resource, change.recorded)
    return provider.update(change.resource, change.changed)


def _step(change: Change, step: Step, run: Run) -> None:
    if run.stop.is_set():
        raise _interrupted()
    run.still_held()
    run.progress.step_started(change, step.title)
    number = run.journal.step_started(change.address, step.title)
    try:
        step.run()
    except Exception as error:
        run.journal.step_ended(number, str(error) or type(error).__name__)
        raise
    run.journal.step_ended(number)


def _verify(resource: Resource, provider: Provider) -> None:
    """Success is what was read, not what was said."""
    observed = provider.observe({resource.address: resource}).get(resource.address)
    if isinstance(observed, Unknown):
        raise NotReady(f"{resource.address} was changed, but cannot be seen: {observed.reason}")
    if observed is None:
        raise NotReady(f"{resource.address} was made, but is not there")
    wrong = _wrong(resource, observed)
    if wrong:
        raise NotReady(
            f"{resource.address} was changed, but is not as it should be: {', '.join(wrong)}",
            hint="run `pgstead plan` to see what differs now",
        )


def _wrong(resource: Resource, observed: Present) -> list[str]:
    return [
        attribute.label
        for key, attribute in resource.attributes.items()
        if attribute.on_change is not OnChange.CREATE_ONLY
        and not isinstance(observed.values.get(key), Unknown)
        and observed.values.get(key) != attribute.value
    ]
