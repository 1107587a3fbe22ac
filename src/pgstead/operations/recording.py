"""Work as an entry of the history."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from pgstead.engine.plan import Change
from pgstead.engine.resource import Recorded
from pgstead.engine.state import State
from pgstead.errors import Interrupted, NotReady, PgsteadError
from pgstead.operations.session import Session
from pgstead.redaction import redact


@dataclass(frozen=True, slots=True)
class AppliedJournal:
    """The state, as one apply writes to it."""

    state: State
    apply: int

    def record(self, recorded: Recorded) -> None:
        """Keep what is known of a resource."""
        self.state.record(recorded)

    def forget(self, address: str) -> None:
        """Drop a resource that is gone."""
        self.state.forget(address)

    def step_started(self, resource: str, title: str) -> int:
        """Keep that a step begins."""
        return self.state.step_started(self.apply, resource, title)

    def step_ended(self, step: int, error: str | None = None) -> None:
        """Keep how it ended."""
        self.state.step_ended(step, redact(error) if error else None)


def run_recorded(
    session: Session, command: str, work: Callable[[AppliedJournal], tuple[str, ...]]
) -> tuple[str, ...]:
    """Do the work as an entry of the history, whatever its end."""
    number = session.state.begin_apply(command)
    try:
        changed = work(AppliedJournal(session.state, number))
    except (Interrupted, KeyboardInterrupt):
        session.state.end_apply(number, "interrupted")
        raise
    except PgsteadError as error:
        session.state.end_apply(number, "failed", redact(error.message))
        raise
    except Exception as error:
        session.state.end_apply(number, "failed", redact(f"{type(error).__name__}: {error}"))
        raise
    session.state.end_apply(number, "done", f"{len(changed)} resources changed")
    return changed


def left_out(left: Mapping[str, str]) -> NotReady:
    """The error for an `up` that did what it could: what was left out, by address, and why."""
    lines = [f"{address}: {why}" for address, why in left.items()]
    return NotReady(
        "the rest was done, but left out:\n  " + "\n  ".join(lines),
        hint="bring the hosts back, and run the same command again",
    )


def unseen(left: Collection[Change]) -> NotReady:
    """The error for what nothing was done about."""
    lines = [f"{change.address}: {'; '.join(change.reasons)}" for change in left]
    return NotReady(
        "could not be seen, so nothing was done about it:\n  " + "\n  ".join(lines),
        hint="`pgstead status` shows what answers; a rerun goes on from here",
    )
