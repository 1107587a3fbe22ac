"""The command `timings`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgstead.cli.arguments import DEFAULT_FILE, Output, StackFile
from pgstead.cli.console import Format, out, print_json, warn

if TYPE_CHECKING:
    import typer


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(timings)


def timings(file: StackFile = DEFAULT_FILE, form: Output = Format.TEXT) -> None:
    """Show failover timings, and how long writes stop at worst.

    Each setting with its value, where that comes from and why it matters; then, for each
    fault of `pgstead drill`, the most that writes stop, as a sum. Nothing is touched.
    """
    from pgstead.cli import timings_view  # noqa: PLC0415 - start-up time
    from pgstead.operations.timings import timings as run  # noqa: PLC0415

    reports, warnings = run(file)
    warn(warnings)
    if form is Format.JSON:
        print_json(timings_view.as_json(reports))
    else:
        timings_view.show(reports, out())
