"""A state as it would be rebuilt: for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from pgstead.redaction import redact

if TYPE_CHECKING:
    from rich.console import Console

    from pgstead.operations.drafting import Adoption


def show(made: Adoption, console: Console) -> None:
    """A line per resource: where it was found, and what is to know of it."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("RESOURCE", "FOUND", ""):
        table.add_column(title, overflow="fold")
    for one in made.resources:
        table.add_row(one.address, one.where, Text(redact(one.note), style="yellow"))
    console.print(f"Stack {made.name}, id {made.stack_id}:")
    console.print(table)
    console.print(f"After that: {made.summary}")


def as_json(made: Adoption) -> dict[str, Any]:
    """The same as one document."""
    return {
        "stack": made.name,
        "id": made.stack_id,
        "written": made.written,
        "resources": [
            {"address": one.address, "where": one.where, "note": redact(one.note)}
            for one in made.resources
        ],
        "warnings": [redact(each) for each in made.warnings],
        "plan": made.summary,
    }
