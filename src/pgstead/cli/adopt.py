"""The command that rebuilds a lost state: adopt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgstead.cli.arguments import DEFAULT_FILE, Output, PassphraseFile, StackFile, Yes
from pgstead.cli.console import Format, confirm, err, out, print_json, warn

if TYPE_CHECKING:
    from pgstead.operations.drafting import Adoption


def add(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(adopt)


def adopt(
    file: StackFile = DEFAULT_FILE,
    *,
    export: Annotated[
        Path | None,
        typer.Option("--export", help="File made by `state export`: keys, passwords and all."),
    ] = None,
    passphrase_file: PassphraseFile = None,
    stack_id: Annotated[
        str | None, typer.Option("--id", help="The stack, where several have this name.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be recorded, and write nothing.")
    ] = False,
    yes: Yes = False,
    form: Output = Format.TEXT,
) -> None:
    """Rebuild a lost state from what is there.

    Finds the stack's machines by what they carry, takes keys and passwords from an export,
    shows what the state would be, and asks. Changes nothing on any machine.
    """
    from pgstead.cli import adopt_view  # noqa: PLC0415 - start-up time
    from pgstead.operations.adopt import Source  # noqa: PLC0415
    from pgstead.operations.adopt import adopt as run  # noqa: PLC0415

    def accept(made: Adoption) -> bool:
        warn(made.warnings)
        adopt_view.show(made, err())
        return confirm("Keep this as the stack's state?", yes=yes)

    source = Source(export, passphrase_file, stack_id)
    made = run(file, source, accept, dry_run=dry_run)
    if form is Format.JSON:
        print_json(adopt_view.as_json(made))
        return
    if dry_run:
        warn(made.warnings)
        adopt_view.show(made, out())
    done = f"Adopted {len(made.resources)} resources." if made.written else "Nothing was written."
    out().print(done)
