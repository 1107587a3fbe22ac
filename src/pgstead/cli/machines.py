"""Commands on machines and on this computer: stop, start, doctor."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pgstead.cli.arguments import Output, Yes, at_most, split_file
from pgstead.cli.console import Format, confirm, out, print_json, stopping

Words = Annotated[list[str] | None, typer.Argument(metavar="[FILE] [MACHINE]", hidden=True)]


class Purpose(StrEnum):
    """What a machine may be looked at for."""

    LOCAL = "local"
    LIBVIRT = "libvirt"
    OPENSTACK = "openstack"
    IMAGE = "image"


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
    stopped = run(file, machine, accept=accept, tell=stopping)
    out().print(f"Stopped {', '.join(stopped)}." if stopped else "Nothing was stopped.")


def start(words: Words = None) -> None:
    """Start a machine, or all of them."""
    from pgstead.operations.power import start as run  # noqa: PLC0415 - start-up time

    file, rest = split_file(words)
    (machine,) = at_most(rest, "[MACHINE]")
    out().print(f"Started {', '.join(run(file, machine, tell=stopping))}.")


def doctor(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A stack file, whose platform is looked at."),
    ] = None,
    *,
    purpose: Annotated[
        Purpose | None,
        typer.Option("--for", help="What to look for where no FILE is given: local by default."),
    ] = None,
    fix: Annotated[bool, typer.Option("--fix", help="Install what is missing.")] = False,
    form: Output = Format.TEXT,
) -> int:
    """Tell what this machine lacks.

    And the command that installs it. Exits with 1 if anything lacks. With a FILE, the hosts of
    its platform are looked at too; `--for image` is for `pgstead image build`.
    """
    from pgstead.cli import doctor_view  # noqa: PLC0415 - start-up time
    from pgstead.operations.doctor import doctor as run  # noqa: PLC0415

    wanted = purpose.value if purpose else None
    findings = run(wanted, file, fix=fix, say=lambda line: out().print(line))
    if form is Format.JSON:
        print_json(doctor_view.as_json(findings))
    else:
        doctor_view.show(findings, out())
    return 0 if all(finding.ok for finding in findings) else 1
