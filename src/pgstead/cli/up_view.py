"""The end of an `up`: what was done, how to connect, what to try next."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from pgstead.operations.results import Up


def show(done: Up, console: Console) -> None:
    """A few lines for a person."""
    if not done.accepted:
        console.print("Nothing was changed.")
        return
    console.print(Text(_headline(done), style="bold green"))
    for place in done.put_aside:
        console.print(Text(f"Data was put aside, and is deleted by nobody: {place}"))
    for role, uri in done.connections.items():
        console.print(Text.assemble((f"  {role:<8}", "dim"), uri))
    if done.connections:
        console.print(Text("Next:", style="dim"))
        further = ("switchover", "plan") if len(done.connections) > 1 else ("plan",)
        for command in ("status", "psql", *further):
            console.print(Text(f"  pgstead {command} {done.file}", style="dim"))


def _headline(done: Up) -> str:
    if not done.changed:
        return done.summary
    words = f"{done.name}: {len(done.changed)} resources changed"
    if done.first_write_seconds is not None:
        words += f"; first write after {done.first_write_seconds:.1f} s"
    if done.ready_seconds is not None:
        words += f", whole after {done.ready_seconds:.1f} s"
    return words


def as_json(done: Up) -> dict[str, Any]:
    """One document."""
    return {
        "name": done.name,
        "accepted": done.accepted,
        "changed": list(done.changed),
        "summary": done.summary,
        "first_write_seconds": done.first_write_seconds,
        "ready_seconds": done.ready_seconds,
        "connections": done.connections,
        "put_aside": [str(place) for place in done.put_aside],
        "left_out": done.left_out,
    }
