"""The command `sentinel`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from pgstead.cli.arguments import DEFAULT_FILE, Output, StackFile
from pgstead.cli.console import Format, err, out, print_json, stopping
from pgstead.errors import SpecError

if TYPE_CHECKING:
    from pgstead.sentinel.events import Event


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(sentinel)


def sentinel(
    file: StackFile = DEFAULT_FILE,
    *,
    events: Annotated[
        bool, typer.Option("--events", help="Print what sentinels saw, decided and did; no more.")
    ] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many last events.")] = 100,
    unit: Annotated[
        bool, typer.Option("--unit", help="Print a systemd unit that runs this; no more.")
    ] = False,
    form: Output = Format.TEXT,
) -> None:
    """Watch a cluster, and fence a leader that is dead or frozen.

    Its machine is powered off, which is verified, and only then the leader's key is taken, so
    that a standby is promoted at once and not when the lease ends. Runs until Ctrl-C or
    SIGTERM. On the local platform `up` runs it already; several may run, and one acts.
    """
    from pgstead.operations import sentinel as operation  # noqa: PLC0415 - start-up time
    from pgstead.operations.session import open_session  # noqa: PLC0415

    if events and unit:
        raise SpecError("--events and --unit do different things", hint="give one of them")
    if form is Format.JSON and not events:
        raise SpecError("--format json goes with --events", hint="add --events")
    with open_session(file) as session:
        if unit:
            typer.echo(operation.unit(session), nl=False)
        elif events:
            _print(operation.events(session, lines), form)
        else:
            err().print("watching until Ctrl-C; `pgstead sentinel --events` tells what it does")
            operation.watch(session, tell=stopping)


def _print(found: tuple[Event, ...], form: Format) -> None:
    if form is Format.JSON:
        print_json([asdict(one) for one in found])
        return
    for one in found:
        out().print(f"{one.at} {one.kind:7} {one.text}", markup=False)
