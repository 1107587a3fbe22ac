"""Live progress of an apply: a line per change on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from pgstead.engine.plan import Change
from pgstead.errors import Interrupted, PgsteadError

SHOWN = 20
"""Lines of changes under way that fit a terminal of ordinary height."""

STOPPING = "stopping at the end of the steps that run; Ctrl-C again stops at once"


@dataclass
class _Line:
    change: Change
    began: float = field(default_factory=time.monotonic)
    title: str = ""


class PlainProgress:
    """A line when a change begins a step, and one when it ends: for pipes and logs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._began: dict[str, float] = {}

    def change_started(self, change: Change) -> None:
        """Remember when."""
        self._began[change.address] = time.monotonic()

    def step_started(self, change: Change, title: str) -> None:
        """Say what is being done."""
        with self._lock:
            self._console.print(Text(f"{change.address}: {title}"))

    def change_ended(self, change: Change, error: PgsteadError | None) -> None:
        """Say how it ended."""
        seconds = time.monotonic() - self._began.get(change.address, time.monotonic())
        with self._lock:
            self._console.print(Text(f"{change.address}: {_ending(error)} after {seconds:.1f} s"))

    def stopping(self) -> None:
        """Say what is waited for."""
        self._console.print(Text(STOPPING))


class LiveProgress:
    """What is under way with a spinner and its step; what is done above it, for good."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._lines: dict[str, _Line] = {}
        self._spinner = Spinner("dots")

    def __rich__(self) -> Group:
        """What is under way now."""
        with self._lock:
            lines = list(self._lines.values())
        frame = self._spinner.render(time.monotonic())
        shown = [_under_way(line, str(frame)) for line in lines[:SHOWN]]
        if len(lines) > SHOWN:
            shown.append(Text(f"  and {len(lines) - SHOWN} more", style="dim"))
        return Group(*shown)

    def change_started(self, change: Change) -> None:
        """Show it."""
        with self._lock:
            self._lines[change.address] = _Line(change)

    def step_started(self, change: Change, title: str) -> None:
        """Show what is being done."""
        with self._lock:
            self._lines[change.address].title = title

    def change_ended(self, change: Change, error: PgsteadError | None) -> None:
        """Leave a line behind."""
        with self._lock:
            line = self._lines.pop(change.address)
        seconds = time.monotonic() - line.began
        sign, style = ("✓", "green") if error is None else ("✗", "red")
        if isinstance(error, Interrupted):
            sign, style = "…", "yellow"
        self._console.print(
            Text.assemble(
                (f"{sign} ", style),
                (f"{change.address:<28}", "bold"),
                f"{_done(change, error):<14}",
                (f"{seconds:5.1f} s", "dim"),
            )
        )

    def stopping(self) -> None:
        """Say what is waited for."""
        self._console.print(Text(STOPPING, style="yellow"))


def _under_way(line: _Line, frame: str) -> Text:
    seconds = time.monotonic() - line.began
    return Text.assemble(
        (f"{frame} ", "cyan"),
        (f"{line.change.address:<28}", "bold"),
        f"{line.title:<40.40}",
        (f"{seconds:5.1f} s", "dim"),
    )


def _done(change: Change, error: PgsteadError | None) -> str:
    words = {"create": "created", "forget": "forgotten"}
    return (
        words.get(change.action, f"{change.action.rstrip('e')}ed") if not error else _ending(error)
    )


def _ending(error: PgsteadError | None) -> str:
    if error is None:
        return "done"
    return "stopped" if isinstance(error, Interrupted) else "failed"


@contextmanager
def progress(console: Console) -> Iterator[LiveProgress | PlainProgress]:
    """The progress that fits where `console` writes."""
    if not console.is_terminal:
        yield PlainProgress(console)
        return
    live = LiveProgress(console)
    with Live(live, console=console, refresh_per_second=10, transient=True):
        yield live
