"""Timings as two tables, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pgstead.operations.timings import Report, SettingLine
from pgstead.timings.bounds import Bound

_MINUTE, _HOUR = 60, 3600


def show(reports: Sequence[Report], console: Console) -> None:
    """For each cluster the settings, then what a fault costs at most."""
    for report in reports:
        target = f", target {report.target}" if report.target else ""
        console.print(Text(f"{report.scope}: timings{target}", style="bold"))
        console.print(_settings(report, console))
        console.print(Text("Writes stop at most", style="bold"))
        console.print(_faults(report))


def _settings(report: Report, console: Console) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    # In eighty columns, long names take two lines.
    table.add_column("setting", overflow="fold", max_width=32 if console.is_terminal else None)
    table.add_column("value", no_wrap=True)
    table.add_column("from", overflow="fold")
    table.add_column("why", overflow="fold")
    for line in report.settings:
        row = (line.name, _value(line), line.origin, line.setting.why)
        table.add_row(*map(Text, row))
    return table


def _faults(report: Report) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("fault", no_wrap=True)
    table.add_column("at most", justify="right", no_wrap=True)
    table.add_column("since", overflow="fold")
    for fault, bound in report.faults.items():
        table.add_row(Text(fault), Text(_seconds(bound)), Text(bound.reason))
    return table


def _seconds(bound: Bound) -> str:
    return "no end" if bound.seconds is None else f"{bound.seconds:g} s"


def _value(line: SettingLine) -> str:
    value = line.value
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "on" if value else "off"
    if not line.setting.unit or not isinstance(value, int | float) or value < 0:
        return str(value)
    return _time(float(value))


def _time(seconds: float) -> str:
    if seconds and seconds < 1:
        return f"{seconds * 1000:g} ms"
    for size, unit in ((_HOUR, "h"), (_MINUTE, "min")):
        if seconds > size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def as_json(reports: Sequence[Report]) -> dict[str, Any]:
    """One document; times are in seconds, and null is no end, or nothing said."""
    return {"clusters": [_json(report) for report in reports]}


def _json(report: Report) -> dict[str, Any]:
    return {
        "scope": report.scope,
        "target": report.target,
        "settings": [_setting(line) for line in report.settings],
        "worst_cases": [_fault(fault, bound) for fault, bound in report.faults.items()],
    }


def _setting(line: SettingLine) -> dict[str, Any]:
    return {
        "setting": line.name,
        "value": line.value,
        "unit": line.setting.unit or None,
        "from": line.origin,
        "why": line.setting.why,
        "source": line.setting.source,
    }


def _fault(fault: str, bound: Bound) -> dict[str, Any]:
    return {
        "fault": fault,
        "seconds": bound.seconds,
        "reason": bound.reason,
        "terms": [
            {"seconds": term.seconds, "for": term.words, "source": term.source}
            for term in bound.terms
        ],
    }
