"""A stack's status as a table and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pgstead.operations.results import MemberStatus, Status

SOON = 30
"""Days before a certificate's end from which it is shown in yellow."""


def show(status: Status, console: Console) -> None:
    """The table, then what is wrong, or that nothing is."""
    console.print(Text(f"{status.name} on {status.platform}", style="bold"))
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    for column in ("machine", "role", "state", "address"):
        # Eighty columns are enough but for long names and states, which then take two lines.
        table.add_column(column, overflow="fold", no_wrap=column in ("role", "address"))
    for column in ("lag", "TL", "cert"):
        table.add_column(column, justify="right", no_wrap=True)
    for member in status.members:
        table.add_row(*_row(member))
    console.print(table)
    for problem in status.problems:
        console.print(Text.assemble(("! ", "bold red"), problem))
    for event in status.events:
        console.print(Text(f"sentinel {event.at} {event.kind}: {event.text}", style="dim"))
    if status.whole:
        console.print(Text("Whole: every member is as it should be.", style="green"))


def _row(member: MemberStatus) -> list[Text]:
    state = member.state + (" (restart pending)" if member.pending_restart else "")
    return [
        Text(member.machine, style="bold"),
        Text(member.role, style="green" if member.role == "leader" else ""),
        Text(state, style="" if member.healthy else "red"),
        Text(member.address),
        Text(_size(member.lag)),
        Text("" if member.timeline is None else str(member.timeline)),
        _expiry(member.certificate_expires),
    ]


def _size(lag: int | None) -> str:
    if lag is None:
        return ""
    size, unit = float(lag), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1024:  # noqa: PLR2004 - as PostgreSQL counts
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}"


def _expiry(end: datetime | None) -> Text:
    if end is None:
        return Text("")
    days = (end - datetime.now(UTC)).days
    return Text(f"{days} d", style="" if days > SOON else "yellow" if days > 0 else "red")


def as_json(status: Status) -> dict[str, Any]:
    """One document; times are ISO 8601, lag is in bytes."""
    return {
        "name": status.name,
        "platform": status.platform,
        "whole": status.whole,
        "problems": list(status.problems),
        "members": [_json(member) for member in status.members],
        "events": [asdict(event) for event in status.events],
    }


def _json(member: MemberStatus) -> dict[str, Any]:
    expires = member.certificate_expires
    return {
        "machine": member.machine,
        "role": member.role,
        "state": member.state,
        "healthy": member.healthy,
        "reason": member.reason,
        "address": member.address,
        "lag": member.lag,
        "timeline": member.timeline,
        "pending_restart": member.pending_restart,
        "certificate_expires": expires.isoformat() if expires else None,
    }
