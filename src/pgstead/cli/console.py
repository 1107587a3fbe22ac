"""Where text goes: results to standard output, progress and questions to standard error."""

from __future__ import annotations

import json
import os
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pgstead.errors import SpecError
from pgstead.redaction import redact

if TYPE_CHECKING:
    from rich.console import Console


WIDE = 1000
"""Columns where no person looks: nothing is wrapped or cut off in pipes and logs."""


class Format(StrEnum):
    """How a result is printed."""

    TEXT = "text"
    JSON = "json"


def out() -> Console:
    """The console for results."""
    from rich.console import Console  # noqa: PLC0415 - not needed for JSON

    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)


def err() -> Console:
    """The console for progress, warnings and questions."""
    from rich.console import Console  # noqa: PLC0415 - not needed for JSON

    return Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else WIDE)


def print_json(document: Any) -> None:
    """One JSON document on standard output."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False, default=str)
    sys.stdout.write("\n")


def warn(warnings: tuple[str, ...] | list[str]) -> None:
    """Warnings, on standard error."""
    if not warnings:
        return
    from rich.text import Text  # noqa: PLC0415 - not needed where nothing is wrong

    console = err()
    for warning in warnings:
        console.print(Text.assemble(("warning: ", "bold yellow"), redact(warning)))


def stopping() -> None:
    """Say that Ctrl-C was heard: what runs may take a moment to end."""
    err().print("stopping; Ctrl-C again stops at once", style="yellow")


def await_line() -> None:
    """Wait until standard input has a line, or its end, or a signal comes.

    A signal that comes just before `input` begins to read would be heard after the answer only;
    here its number in a pipe ends the wait (`signal.set_wakeup_fd`).
    """
    import select  # noqa: PLC0415 - where somebody is asked alone
    import signal  # noqa: PLC0415

    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = signal.set_wakeup_fd(writing)
    try:
        while not select.select([sys.stdin, reading], [], [])[0].count(sys.stdin):
            os.read(reading, 1)  # of a signal that stops nothing, as of a window's new size
    finally:
        signal.set_wakeup_fd(before)
        os.close(reading)
        os.close(writing)


def confirm(question: str, *, yes: bool, flag: str = "--yes") -> bool:
    """Ask, unless `yes`; where nobody can answer, say which flag to give.

    Raises `SpecError` if standard input is no terminal.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise SpecError(
            f"nobody to ask: {question}", hint=f"give {flag} to go on without a question"
        )
    err().print(f"[bold]{question}[/] Only 'yes' goes on: ", end="")
    try:
        await_line()
        return input().strip() == "yes"
    except EOFError:  # Ctrl-D
        err().print()
        return False
