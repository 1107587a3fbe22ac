"""Commands that look: status, logs, history, output."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from typing import Annotated

import typer

from pgstead.cli.arguments import DEFAULT_FILE, Output, StackFile, at_most, split_file
from pgstead.cli.console import Format, out, print_json


def add(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(status)
    app.command()(logs)
    app.command()(history)
    app.command()(output)


def status(
    file: StackFile = DEFAULT_FILE,
    *,
    seconds: Annotated[
        float,
        typer.Option(
            "--wait",
            metavar="SECONDS",
            min=0,
            help="Wait so long for all to be as it should be.",
            show_default=False,
        ),
    ] = 0.0,
    form: Output = Format.TEXT,
) -> int:
    """Show members, roles, lag and health.

    TL is the timeline, cert the days until the first certificate ends. Exits with 1 if
    anything is not as it should be.
    """
    from pgstead.cli import status_view  # noqa: PLC0415 - start-up time
    from pgstead.operations.session import open_session  # noqa: PLC0415
    from pgstead.operations.status import status_once_whole  # noqa: PLC0415

    with open_session(file) as session:
        seen = status_once_whole(session, seconds)
    if form is Format.JSON:
        print_json(status_view.as_json(seen))
    else:
        status_view.show(seen, out())
    return 0 if seen.whole else 1


def logs(
    words: Annotated[list[str], typer.Argument(metavar="[FILE] MACHINE [SERVICE]", hidden=True)],
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many last lines.")] = 100,
) -> None:
    """Print a machine's logs.

    Without SERVICE those of all its services.
    """
    from pgstead.operations.logs import logs as run  # noqa: PLC0415 - start-up time

    file, rest = split_file(words)
    machine, service = at_most(rest, "MACHINE [SERVICE]")
    # Ctrl-C is how following ends.
    with suppress(KeyboardInterrupt) if follow else nullcontext():
        for line in run(file, machine or "", service, follow=follow, lines=lines):
            typer.echo(line)


def history(
    file: StackFile = DEFAULT_FILE,
    *,
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many, newest first.")] = 20,
    form: Output = Format.TEXT,
) -> None:
    """List the applies: when, who, what, how they ended."""
    from pgstead.cli import history_view  # noqa: PLC0415 - start-up time
    from pgstead.operations.history import history as run  # noqa: PLC0415

    entries = run(file, limit)
    if form is Format.JSON:
        print_json(history_view.as_json(entries))
    else:
        history_view.show(entries, out())


def output(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE] [MODULE.OUTPUT]", hidden=True)
    ] = None,
    *,
    show_secrets: Annotated[bool, typer.Option("--show-secrets", help="Print secrets.")] = False,
    form: Output = Format.TEXT,
) -> None:
    """Print module outputs.

    A secret one is printed only when it is named, or with --show-secrets.
    """
    from pgstead.operations.output import output as run  # noqa: PLC0415 - start-up time

    file, rest = split_file(words)
    (name,) = at_most(rest, "[MODULE.OUTPUT]")
    values = run(file, name, show_secrets=show_secrets)
    if form is Format.JSON:
        print_json(values)
    elif name:
        typer.echo(values[name])
    else:
        for key, value in values.items():
            typer.echo(f"{key} = {value}")
