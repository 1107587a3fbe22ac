"""Commands that compare and change: plan, up, destroy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgstead.cli.arguments import DEFAULT_FILE, Output, Recreate, StackFile, Yes
from pgstead.cli.console import Format, confirm, err, out, print_json, warn

if TYPE_CHECKING:
    from pgstead.engine.plan import Plan

PENDING = 2
"""`plan --detailed-exitcode`: changes are pending (Terraform's convention)."""


def add(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(plan)
    app.command()(up)
    app.command()(destroy)


def plan(
    file: StackFile = DEFAULT_FILE,
    *,
    plan_file: Annotated[
        Path | None, typer.Option("--output", "-o", help="Keep the plan, to apply exactly it.")
    ] = None,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with 2 if changes are pending.")
    ] = False,
    recreate: Recreate = None,
    form: Output = Format.TEXT,
) -> int:
    """Show what would change and why, drift included."""
    from pgstead.cli import plan_view  # noqa: PLC0415 - start-up time
    from pgstead.operations.plan import make, requests, save  # noqa: PLC0415
    from pgstead.operations.session import open_session  # noqa: PLC0415

    with open_session(file) as session:
        made = make(session, recreate=recreate or ())
        warn(session.warnings)
        if plan_file:
            save(session, made, plan_file, recreate=recreate or ())
        sent = requests(session)
    if form is Format.JSON:
        print_json(plan_view.as_json(made, sent))
    else:
        plan_view.show(made, out())
    if made.refused:
        return 1
    return PENDING if detailed_exitcode and (made.pending or made.unknown or made.left_out) else 0


def up(
    file: StackFile = DEFAULT_FILE,
    *,
    yes: Yes = False,
    recreate: Recreate = None,
    form: Output = Format.TEXT,
) -> None:
    """Bring a stack up to what its file says.

    Plans, asks, applies, waits until the stack takes a write, and prints how to connect.

    FILE is a stack file, or a plan kept by `plan -o`: that is applied exactly, or refused
    if the world has moved since.
    """
    from pgstead.cli import clock, plan_view, up_view  # noqa: PLC0415 - start-up time
    from pgstead.cli.progress import progress  # noqa: PLC0415
    from pgstead.operations.asking import Asking  # noqa: PLC0415
    from pgstead.operations.recording import left_out  # noqa: PLC0415
    from pgstead.operations.up import up as run  # noqa: PLC0415

    def accept(made: Plan) -> bool:
        if made.pending or made.unknown or made.left_out:
            plan_view.show(made, err())
        return not made.pending or confirm("Apply this plan?", yes=yes)

    asking = Asking(accept, watching=lambda: progress(err()), warn=warn)
    done = run(file, asking, recreate=recreate or (), began=clock.began())
    if form is Format.JSON:
        print_json(up_view.as_json(done))
    else:
        up_view.show(done, out())
    if done.left_out:
        raise left_out(done.left_out)


def destroy(
    file: StackFile = DEFAULT_FILE,
    *,
    yes: Yes = False,
    delete_data: Annotated[
        bool, typer.Option("--delete-data", help="Delete the data too; nothing brings it back.")
    ] = False,
    form: Output = Format.TEXT,
) -> None:
    """Remove a stack; data stays unless told so.

    Shows what goes, and asks.
    """
    from pgstead.cli import plan_view  # noqa: PLC0415 - start-up time
    from pgstead.cli.progress import progress  # noqa: PLC0415
    from pgstead.operations.asking import Asking  # noqa: PLC0415
    from pgstead.operations.destroy import destroy as run  # noqa: PLC0415

    def accept(made: Plan) -> bool:
        plan_view.show_removal(made, err(), delete_data=delete_data)
        fate = "and its data deleted for good" if delete_data else "its data kept"
        needed = made.pending or delete_data
        return not needed or confirm(f"Remove all of this, {fate}?", yes=yes)

    gone = run(file, Asking(accept, lambda: progress(err()), warn), delete_data=delete_data)
    if form is Format.JSON:
        print_json({"removed": gone.removed, "kept": [str(place) for place in gone.kept]})
        return
    out().print(f"Removed {len(gone.removed)} resources." if gone.removed else "Nothing to remove.")
    for place in gone.kept:
        out().print(f"Data kept in {place}")
