"""Commands on machines and on this computer: stop, start, doctor."""

from __future__ import annotations

from typing import Annotated

import typer

from pgstead.cli.arguments import Output, Yes, at_most, split_file
from pgstead.cli.console import Format, confirm, out, print_json

Words = Annotated[list[str] | None, typer.Argument(metavar="[FILE] [MACHINE]", hidden=True)]


def add(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(stop)
    app.command()(start)
    app.command()(doctor)


def stop(words: Words = None, *, yes: Yes = False) -> None:
    """Stop a machine, or all of them; data stays."""
    from pgstead.operations.power import stop as run  # noqa: PLC0415 - start-up time

    def accept(names: tuple[str, ...]) -> bool:
        return confirm(f"Stop {', '.join(names)}?", yes=yes)

    file, rest = split_file(words)
    (machine,) = at_most(rest, "[MACHINE]")
    stopped = run(file, machine, accept=accept)
    out().print(f"Stopped {', '.join(stopped)}." if stopped else "Nothing was stopped.")


def start(words: Words = None) -> None:
    """Start a machine, or all of them."""
    from pgstead.operations.power import start as run  # noqa: PLC0415 - start-up time

    file, rest = split_file(words)
    (machine,) = at_most(rest, "[MACHINE]")
    out().print(f"Started {', '.join(run(file, machine))}.")


def doctor(
    *,
    fix: Annotated[bool, typer.Option("--fix", help="Install what is missing.")] = False,
    form: Output = Format.TEXT,
) -> int:
    """Tell what this machine lacks.

    And the command that installs it. Exits with 1 if anything lacks.
    """
    from pgstead.cli import doctor_view  # noqa: PLC0415 - start-up time
    from pgstead.operations.doctor import doctor as run  # noqa: PLC0415

    findings = run(fix=fix, say=lambda line: out().print(line))
    if form is Format.JSON:
        print_json(doctor_view.as_json(findings))
    else:
        doctor_view.show(findings, out())
    return 0 if all(finding.ok for finding in findings) else 1
