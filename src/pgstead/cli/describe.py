"""Commands that read a stack file and touch nothing: validate, expand, render, schema."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pgstead.cli.arguments import DEFAULT_FILE, Output, StackFile
from pgstead.cli.console import Format, out, print_json, warn


def add(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(validate)
    app.command()(expand)
    app.command()(render)
    app.command()(schema)


def validate(file: StackFile = DEFAULT_FILE, form: Output = Format.TEXT) -> None:
    """Check the stack file.

    Every error names file, line and field.
    """
    from pgstead.operations.validate import validate as run  # noqa: PLC0415 - start-up time

    checked = run(file)
    warn(checked.warnings)
    if form is Format.JSON:
        print_json({"valid": True, "machines": checked.machines, "warnings": checked.warnings})
    else:
        out().print(f"{file} is valid: {len(checked.machines)} machines")


def expand(file: StackFile = DEFAULT_FILE) -> None:
    """Print the modules that a cluster stands for.

    They are printed as a stack file, which plans the same.
    """
    from pgstead.spec import expand as run  # noqa: PLC0415 - start-up time
    from pgstead.spec import load  # noqa: PLC0415

    typer.echo(run(load(file)), nl=False)


def render(
    file: StackFile = DEFAULT_FILE,
    *,
    folder: Annotated[Path, typer.Option("--output", "-o", help="Folder to write into.")],
    show_secrets: Annotated[
        bool, typer.Option("--show-secrets", help="Write secrets too, readable by you alone.")
    ] = False,
) -> None:
    """Write every machine's files for reading.

    With them what a virtual machine is begun with: cloud-init's files and libvirt's XML. No
    host has to answer. Secrets are left out unless asked for.
    """
    from pgstead.operations.render import render as run  # noqa: PLC0415 - start-up time

    written = run(file, folder, show_secrets=show_secrets)
    warn(written.warnings)
    out().print(f"{written.files} files in {folder}")


def schema() -> None:
    """Print the JSON schema of a stack file, for editors."""
    from pgstead.modules.build import MODELS  # noqa: PLC0415 - start-up time
    from pgstead.spec import schema as make  # noqa: PLC0415

    print_json(make(MODELS))
