"""What the doctor found, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pgstead.platforms.finding import Finding


def show(findings: Sequence[Finding], console: Console) -> None:
    """Everything that was looked at; below it what to do about what lacks."""
    table = Table(box=None)
    for column in ("", "what", "found", "version", "where"):
        table.add_column(column)
    for one in findings:
        mark = Text("✓", style="green") if one.ok else Text("✗", style="red")
        table.add_row(mark, Text(one.name), Text(one.found), one.version, Text(one.path))
    console.print(table)
    lacking = [one for one in findings if not one.ok]
    for one in lacking:
        todo = one.hint or f"apt-get install {one.package}"
        console.print(Text.assemble((f"{one.name}: ", "bold"), todo))
    if any(one.package for one in lacking):
        console.print("`pgstead doctor --fix` installs what packages can put right.")


def as_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """A list of everything that was looked at."""
    return [asdict(one) for one in findings]
