"""Reach: the one small protocol for what happens on a machine that runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from pgstead.machine import File


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command on a machine ended."""

    code: int
    stdout: str
    stderr: str


class Reach(Protocol):
    """Push a file, run a command, read a file, read logs. Paths are the machine's own."""

    def push(self, file: File) -> None:
        """Write the file whole or not at all, with its owner and mode."""

    def run(self, argv: Sequence[str], *, timeout: float = 60.0) -> Finished:
        """Run a command to its end; a failing one is an answer, not an error."""

    def read(self, path: str) -> str | None:
        """The text of a file, or None where there is none."""

    def logs(self, service: str, *, follow: bool = False, lines: int = 100) -> Iterator[str]:
        """The last lines of a service's log, then new ones as they come."""
