"""The commands, by theme; each module adds its own to the one application."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Annotated

import typer

from pgstead.cli import (
    adopt,
    change,
    connect,
    describe,
    drill,
    etcd,
    image,
    keep,
    machines,
    observe,
    sentinel,
    timings,
)
from pgstead.cli.arguments import use_command
from pgstead.cli.failure import DEBUG

app = typer.Typer(
    name="pgstead",
    help="Production PostgreSQL on ground you own: one file, one plan, no loss.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for theme in (
    describe,
    timings,
    change,
    observe,
    connect,
    machines,
    etcd,
    drill,
    sentinel,
    keep,
    adopt,
    image,
):
    theme.add(app)
use_command(app)


def _version(value: bool) -> None:  # noqa: FBT001 - typer's callback form
    if value:
        from importlib.metadata import version  # noqa: PLC0415 - for this option alone

        typer.echo(f"pgstead {version('pgstead')}")
        raise typer.Exit


@app.callback()
def options(
    *,
    debug: Annotated[
        bool, typer.Option("--debug", help="Keep a traceback in a log file if something fails.")
    ] = False,
    version: Annotated[  # noqa: ARG001 - handled by its callback
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of every command."""
    if debug:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        os.environ[DEBUG] = os.path.abspath(f"pgstead-debug-{stamp}.log")  # noqa: PTH100 - no I/O
