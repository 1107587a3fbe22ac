"""The command that breaks a cluster on purpose: drill."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgstead.cli.arguments import DEFAULT_FILE, Output, StackFile, Yes
from pgstead.cli.console import Format, confirm, err, out, print_json, stopping, warn
from pgstead.errors import SpecError

if TYPE_CHECKING:
    from pgstead.drills.result import Drilled


def add(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(drill)


def drill(
    file: StackFile = DEFAULT_FILE,
    *,
    fault: Annotated[
        list[str] | None, typer.Option("--fault", metavar="NAME", help="What to break; repeatable.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every fault that can be done here.")
    ] = False,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Rounds of each fault.")] = 1,
    demands: Annotated[
        list[str] | None,
        typer.Option(
            "--assert",
            metavar="EXPR",
            help="What must hold, e.g. 'p95(write_outage) <= 5s'; repeatable.",
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE.html", help="Write a page about it.")
    ] = None,
    listing: Annotated[
        bool, typer.Option("--list", help="List the faults, and why one cannot be done here.")
    ] = False,
    patience: Annotated[
        float,
        typer.Option(min=1, help="Seconds for writes to go on, and for the cluster to be whole."),
    ] = 300.0,
    yes: Yes = False,
    really: Annotated[
        bool, typer.Option("--yes-really", help="Drill a stack marked `production: true`.")
    ] = False,
    form: Output = Format.TEXT,
) -> int:
    """Break a cluster on purpose, under load, and measure.

    Writes and reads through the load balancer while each fault strikes; tells for how long
    writes and reads stood still, what was lost, and when all was whole again. Exits with 1 if a
    row was lost or doubled, a round did not end with a whole cluster, or an assertion fails.
    """
    from pgstead.cli import drill_view, signals  # noqa: PLC0415 - start-up time
    from pgstead.operations.drill import Wanted, faults  # noqa: PLC0415
    from pgstead.operations.drill import drill as run  # noqa: PLC0415

    if listing:
        drill_view.listed(faults(file), form)
        return 0
    _check(fault, every=every, report=report)
    wanted = Wanted(tuple(fault or ()), rounds, tuple(demands or ()), patience, really=really)

    def accept(stack: str, names: Sequence[str], left_out: Mapping[str, str]) -> bool:
        warn([f"left out: {name}: {why}" for name, why in left_out.items()])
        times = f"{rounds} rounds each of " if rounds > 1 else ""
        question = f"Break {stack} on purpose: {times}{', '.join(names)}?"
        return confirm(question, yes=yes)

    signals.take_hangup()
    with drill_view.progress(err()) as watching:
        done = run(file, wanted, accept=accept, watching=watching, tell=stopping)
    if done is None:
        err().print("Nothing was broken.")
        return 0
    return _told(done, report, form)


def _check(fault: list[str] | None, *, every: bool, report: Path | None) -> None:
    """Raises `SpecError` before anything is broken."""
    if bool(fault) == every:
        raise SpecError(
            "say what to break", hint="either --all, or --fault NAME once or more; --list tells"
        )
    if report and not os.access(report.parent, os.W_OK):
        raise SpecError(f"{report} cannot be written: no folder {report.parent} to write into")


def _told(done: Drilled, report: Path | None, form: Format) -> int:
    from pgstead.cli import drill_view  # noqa: PLC0415 - start-up time
    from pgstead.drills.report import as_dict, as_html  # noqa: PLC0415

    if form is Format.JSON:
        print_json(as_dict(done))
    else:
        drill_view.show(done, out())
    if report:
        report.write_text(as_html(done), encoding="utf-8")
        err().print(f"The report is in {report}")
    if done.broken_off:
        raise done.broken_off
    return 0 if done.passed else 1
