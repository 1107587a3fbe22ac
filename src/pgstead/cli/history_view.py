"""The history as a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pgstead.engine.history import ApplyEntry

STYLES = {"done": "green", "failed": "red", "interrupted": "yellow"}


def show(entries: Sequence[ApplyEntry], console: Console) -> None:
    """Newest first."""
    if not entries:
        console.print("Nothing was applied yet.")
        return
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    for column in ("when", "who", "what", "outcome"):
        table.add_column(column, no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)
    table.add_column("summary", overflow="fold")
    for entry in entries:
        seconds = (entry.ended - entry.started).total_seconds() if entry.ended else None
        table.add_row(
            f"{entry.started:%Y-%m-%d %H:%M:%S}",
            Text(entry.by),
            Text(entry.command),
            Text(entry.outcome, style=STYLES.get(entry.outcome, "")),
            "" if seconds is None else f"{seconds:.1f}",
            Text(entry.summary),
        )
    console.print(table)


def as_json(entries: Sequence[ApplyEntry]) -> list[dict[str, Any]]:
    """A list, newest first; times are ISO 8601."""
    return [
        {
            "started": entry.started.isoformat(),
            "ended": entry.ended.isoformat() if entry.ended else None,
            "by": entry.by,
            "command": entry.command,
            "outcome": entry.outcome,
            "summary": entry.summary,
        }
        for entry in entries
    ]
