"""A drill as it goes on, and its table in the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from pgstead.cli.console import Format, out, print_json
from pgstead.drills.asserts import Outcome
from pgstead.drills.result import Drilled
from pgstead.drills.series import Series, Spread, by_fault, summarise
from pgstead.drills.verdict import Verdict
from pgstead.operations.drill import Listed


@dataclass
class Progress:
    """A line for each thing that happens, and what goes on now where a terminal shows it."""

    console: Console
    status: Status | None = None
    round: str = "before"

    def round_started(self, fault: str, number: int, rounds: int) -> None:
        """Implements `Watching`."""
        self.round = f"{fault} {number}/{rounds}"
        if self.status:
            self.status.update(Text(f"{self.round}: writing"))
            self.status.start()

    def happened(self, what: str) -> None:
        """Implements `Watching`."""
        self.console.print(Text.assemble((f"{self.round}: ", "dim"), what))
        if self.status:
            self.status.update(Text(f"{self.round}: {what}"))

    def round_ended(self, verdict: Verdict) -> None:
        """Implements `Watching`."""
        style = "green" if verdict.sound else "red"
        line = Text.assemble((f"{self.round}: ", "dim"), (_in_a_line(verdict), style))
        self.console.print(line)

    def end(self) -> None:
        """Show nothing any more."""
        if self.status:
            self.status.stop()


@contextmanager
def progress(console: Console) -> Iterator[Progress]:
    """The progress that fits where `console` writes."""
    shown = Progress(console, console.status("") if console.is_terminal else None)
    try:
        yield shown
    finally:
        shown.end()


def _in_a_line(verdict: Verdict) -> str:
    words = [f"writes stopped for {_seconds(verdict.write_outage)}"]
    if verdict.read_outage is not None:
        words.append(f"reads for {_seconds(verdict.read_outage)}")
    if verdict.rows:
        words.append(f"{len(verdict.rows.lost)} of {verdict.rows.acknowledged} rows lost")
    if verdict.whole is not None:
        words.append(f"whole after {_seconds(verdict.whole)}")
    return ", ".join([*words, *filter(None, [verdict.problem])])


def listed(faults: Sequence[Listed], form: Format) -> None:
    """The faults, and why one cannot be done."""
    if form is Format.JSON:
        print_json([{"name": f.name, "title": f.title, "refused": f.refused} for f in faults])
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("fault", no_wrap=True)
    table.add_column("what it does")
    for fault in faults:
        title = Text(fault.title, style="dim" if fault.refused else "")
        if fault.refused:
            title.append(f"\nnot here: {fault.refused}", style="yellow")
        table.add_row(Text(fault.name, style="bold"), title)
    out().print(table)


COLUMNS = ("rounds", "write outage", "read outage", "whole", "lost", "ghosts", "double", "TL")


def show(done: Drilled, console: Console) -> None:
    """A row per fault; times are median / p95 / max in seconds."""
    console.print(Text(f"{done.stack} on {done.platform}", style="bold"))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("fault", no_wrap=True)
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for verdicts in by_fault(done.verdicts).values():
        table.add_row(*_row(summarise(verdicts)))
    console.print(table)
    console.print(Text("times in seconds: median / p95 / max", style="dim"))
    for verdict in done.verdicts:
        if not verdict.sound:
            console.print(_unsound(verdict))
    for outcome in done.outcomes:
        console.print(_outcome(outcome))


def _row(series: Series) -> list[Text]:
    return [
        Text(series.fault, style="bold"),
        Text(str(series.rounds)),
        Text(_spread(series.write_outage)),
        Text(_spread(series.read_outage)),
        Text(_spread(series.whole)),
        Text(_count(series.lost), style="bold red" if series.lost != 0 else "green"),
        Text(_count(series.ghosts)),
        Text(_count(series.duplicates), style="bold red" if series.duplicates else ""),
        Text(_count(series.timeline_changes)),
    ]


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return "-"
    return " / ".join(f"{figure:.1f}" for figure in (spread.median, spread.p95, spread.max))


def _count(count: int | None) -> str:
    return "?" if count is None else str(count)


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s"


def _unsound(verdict: Verdict) -> Text:
    said = [verdict.problem] if verdict.problem else []
    if verdict.rows:
        lost, double = len(verdict.rows.lost), len(verdict.rows.duplicates)
        said += [f"{lost} rows lost, {double} there more than once"] if lost or double else []
    if verdict.rivals:
        said.append("two servers took writes at the same time")
    return Text.assemble(("! ", "bold red"), f"{verdict.fault} {verdict.number}: {'; '.join(said)}")


def _outcome(outcome: Outcome) -> Text:
    mark, style = ("holds ", "green") if outcome.holds else ("fails ", "bold red")
    figure = f"{outcome.figure:.3g} {outcome.unit}" if outcome.figure is not None else "no figure"
    return Text.assemble((mark, style), f"{outcome.fault}: {outcome.text} ({figure.rstrip()})")
