"""Remove a stack; its data only when told so."""

from __future__ import annotations

from pathlib import Path

from pgstead.engine.apply import Run, apply
from pgstead.engine.plan import Plan, make_plan
from pgstead.operations import platforms
from pgstead.operations.asking import Asking
from pgstead.operations.recording import AppliedJournal, run_recorded, unseen
from pgstead.operations.results import Destroyed
from pgstead.operations.session import Session, observe, open_session


def destroy(file: Path, asking: Asking, *, delete_data: bool) -> Destroyed:
    """Remove every resource that was made, then what they shared and the materials.

    Data stays in place, and its materials with it, unless `delete_data`. Interrupted, a
    rerun goes on. Raises `NotReady`, and forgets nothing, if a resource cannot be seen.
    """
    with open_session(file, command="destroy") as session:
        recorded = session.state.recorded()
        providers = platforms.removers(session)
        made = make_plan((), recorded, observe(recorded, providers))
        if not asking.accept(made):
            return Destroyed((), ())
        removed = run_recorded(
            session,
            "destroy",
            lambda journal: _remove(session, made, asking, journal, delete_data=delete_data),
        )
        return Destroyed(removed, _end(session))


def _remove(
    session: Session, made: Plan, asking: Asking, journal: AppliedJournal, *, delete_data: bool
) -> tuple[str, ...]:
    with asking.watching() as progress:
        run = Run(
            platforms.removers(session),
            journal,
            progress,
            delete_data=delete_data,
            still_held=session.check_held,
        )
        apply(made, run)
    if made.unknown:
        raise unseen(made.unknown)
    return tuple(change.address for change in made.pending)


def _end(session: Session) -> tuple[Path, ...]:
    """Remove what all machines shared; gives the folders in which data was kept."""
    kept = session.platform.dispose()
    session.state.wipe()
    for file in session.client_folder.glob("*"):
        file.unlink()
    if session.client_folder.is_dir():
        session.client_folder.rmdir()
    return kept
