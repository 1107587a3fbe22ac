"""Bring a stack up to what its file says."""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import nullcontext, suppress
from pathlib import Path

from pgstead.clusters import lowering
from pgstead.clusters.places import with_token
from pgstead.engine.apply import Run, apply, refresh, refusal
from pgstead.engine.plan import ETCD, MACHINE, Action, Phase, Plan
from pgstead.errors import NotReady
from pgstead.operations import plan as planning
from pgstead.operations.asking import Asking
from pgstead.operations.connect import reachable
from pgstead.operations.first_write import FirstWrite, Witness, is_awaited
from pgstead.operations.recording import AppliedJournal, run_recorded, unseen
from pgstead.operations.results import Up
from pgstead.operations.session import Session, open_session
from pgstead.operations.status import await_serving
from pgstead.waiting import wait

ROUNDS = 3
"""Looks at the world: what was down can be seen only once it has been repaired."""

ANSWERS = 240.0
"""Seconds for what was repaired to answer again: a machine that came back may first have to
recover, and an emulated one takes minutes for what others do in seconds."""


def up(
    file: Path, asking: Asking, *, recreate: Collection[str] = (), began: float | None = None
) -> Up:
    """Plan, ask, apply, and wait until the stack takes a write.

    `file` is a stack file or a plan kept by `plan`; `began`, by `time.monotonic`, is what
    seconds are counted from (default: now), without those in which an answer is thought of.
    Raises `Refused` if data would be lost or a kept plan does not hold any more, and
    whatever a failing step raised.
    """
    began = time.monotonic() if began is None else began
    saved = planning.read(file)
    with open_session(saved.file if saved else file, command="up") as session:
        made = planning.make(session, recreate=saved.recreate if saved else recreate)
        asking.warn(session.warnings)
        if made.refused:
            raise refusal(made)
        if saved:
            planning.check(session, made, saved)
        asked = time.monotonic()
        if not asking.accept(made):
            return Up(session.stack.name, session.file, (), "nothing was changed", accepted=False)
        return _carried_out(session, made, asking, began + time.monotonic() - asked)


def _carried_out(session: Session, made: Plan, asking: Asking, began: float) -> Up:
    """Apply, round by round, and wait for the first write where there is one to wait for."""
    session.materials.save()
    if not made.pending and not made.unknown:
        refresh(made, session.state.record)
        _settled(session)
        return _result(session, made, ())
    before = session.platform.kept()
    session.materials.mark_tried(lowering.passwords(session.machines))
    for cluster in made.renewed:
        session.state.record(with_token(cluster))
    first = _first_write(session, made, began)
    with first.trying() if first else nullcontext():
        changed = run_recorded(
            session, "up", lambda journal: _rounds(session, made, asking, journal, first)
        )
        _settled(session)
        if _repairs(made) and session.platform.kind != "memory":
            await_serving(session, _in_sight(session, made))
        ready = time.monotonic() - began
        written = first.wait() if first else None
    aside = tuple(place for place in session.platform.kept() if place not in before)
    return _result(session, made, changed, first_write=written, ready=ready, put_aside=aside)


def _in_sight(session: Session, made: Plan) -> list[str]:
    """The names of the machines but for those that are left out."""
    away = {change.address for change in made.left_out}
    return [one.name for one in session.machines if f"{MACHINE}.{one.name}" not in away]


def _repairs(made: Plan) -> bool:
    """Whether something comes back that nothing in the plan sees serve afterwards.

    What is started again, and the Patroni of an etcd that begins anew.
    """
    return any(
        change.phase is Phase.REPAIR
        or (change.kind == ETCD and change.action is Action.CREATE and change.recorded)
        for change in made.pending
    )


def _settled(session: Session) -> None:
    """Remember which passwords the servers have, and drop what nobody needs any more."""
    session.materials.mark_applied(lowering.passwords(session.machines))
    session.materials.prune()


def _rounds(
    session: Session,
    made: Plan,
    asking: Asking,
    journal: AppliedJournal,
    first: FirstWrite | None,
) -> tuple[str, ...]:
    changed: list[str] = []
    with asking.watching() as shown:
        progress = Witness(shown, first) if first else shown
        for _ in range(ROUNDS):
            run = Run(session.providers, journal, progress, still_held=session.check_held)
            apply(made, run)
            changed.extend(change.address for change in made.pending)
            if not made.unknown:
                return tuple(changed)
            made = _look_again(session)
            if not made.pending:
                break
    left = (*made.unknown, *made.pending)
    if left:
        raise unseen(left)
    return tuple(changed)


def _look_again(session: Session) -> Plan:
    """What is to be done now; what was just started gets time until it answers."""
    seen: list[Plan] = []

    def look() -> bool:
        seen.append(planning.make(session))
        return bool(seen[-1].pending or not seen[-1].unknown)

    with suppress(NotReady):
        wait(look, deadline=ANSWERS, what="what was started to answer", interval=(0.2, 1.0))
    return seen[-1]


def _first_write(session: Session, made: Plan, began: float) -> FirstWrite | None:
    """Look out for the first write if this plan makes a PostgreSQL."""
    found = list(reachable(session).values())
    new = any(map(is_awaited, made.pending))
    return FirstWrite(found[0], began) if found and new else None


def _result(
    session: Session,
    made: Plan,
    changed: tuple[str, ...],
    *,
    first_write: float | None = None,
    ready: float | None = None,
    put_aside: tuple[Path, ...] = (),
) -> Up:
    return Up(
        session.stack.name,
        session.file,
        changed,
        made.summary,
        first_write_seconds=first_write,
        ready_seconds=ready,
        connections={target.value: each.uri() for target, each in reachable(session).items()},
        put_aside=put_aside,
        left_out={change.address: "; ".join(change.reasons) for change in made.left_out},
    )
