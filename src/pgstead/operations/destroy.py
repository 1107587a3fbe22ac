"""Remove a stack; its data only when told so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pgstead.engine.apply import Run, apply
from pgstead.engine.compare import make_plan
from pgstead.engine.plan import Plan
from pgstead.engine.resource import Data
from pgstead.operations import platforms
from pgstead.operations.asking import Asking
from pgstead.operations.recording import AppliedJournal, run_recorded, unseen
from pgstead.operations.results import Destroyed
from pgstead.operations.session import Session, observe, open_session


def destroy(file: Path, asking: Asking, *, delete_data: bool) -> Destroyed:
    """Remove every resource that was made, then what they shared and the materials.

    Unless `delete_data`, data stays in its place, and the materials that open it: the next
    `up` goes on with both. Interrupted, a rerun goes on. Raises `NotReady`, and forgets
    nothing, if a resource cannot be seen.
    """
    with open_session(file, command="destroy") as session:
        data = Data.DELETE if delete_data else Data.KEEP
        recorded = session.state.recorded()
        asking.warn(session.unadopted)
        providers = platforms.removers(session)
        made = _side_by_side(make_plan((), recorded, observe(recorded, providers)))
        if delete_data:
            asking.warn(tuple(f"goes too: data in {each}" for each in session.platform.kept()))
        if not asking.accept(made):
            return Destroyed((), ())
        removed = run_recorded(
            session,
            "destroy",
            lambda journal: _remove(session, made, asking, journal, data),
        )
        return Destroyed(removed, _end(session, data))


def _remove(
    session: Session, made: Plan, asking: Asking, journal: AppliedJournal, data: Data
) -> tuple[str, ...]:
    with asking.watching() as progress:
        run = Run(
            platforms.removers(session),
            journal,
            progress,
            data=data,
            still_held=session.check_held,
        )
        apply(made, run)
    if left := (*made.unknown, *made.left_out):
        raise unseen(left)
    return tuple(change.address for change in made.pending)


def _side_by_side(plan: Plan) -> Plan:
    """Nobody needs to be spared when everything goes."""
    return Plan(tuple(replace(change, exclusive=False) for change in plan.changes))


def _end(session: Session, data: Data) -> tuple[Path, ...]:
    """Remove what all machines shared; gives the folders in which data still is."""
    kept = session.platform.dispose(data=data)
    if not kept:
        session.state.wipe()
    for file in session.client_folder.glob("*"):
        file.unlink()
    if session.client_folder.is_dir():
        session.client_folder.rmdir()
    return kept
