"""The event log: what was seen, decided and done, a JSON document per line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

LONGEST = 1 << 20
"""Bytes after which the log begins anew; the one before is kept beside it."""


class Kind(StrEnum):
    """What an event tells of."""

    SEEN = "seen"
    DECIDED = "decided"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; `at` is ISO 8601 in UTC, with milliseconds."""

    at: str
    kind: Kind
    text: str

    def line(self) -> str:
        """Its line in the log."""
        return json.dumps(asdict(self)) + "\n"


@dataclass(slots=True)
class Log:
    """A log file. What is seen again and again is written once.

    What is wrong for a single look is not written at all: a leader that is a moment late, say.
    """

    path: Path
    _seen: str = field(default="", init=False)
    _doubted: bool = field(default=False, init=False)
    _first: Event | None = field(default=None, init=False)

    def seen(self, text: str, *, wrong: bool = False) -> None:
        """Tell what is seen, unless it is what was seen last."""
        event = Event(_now(), Kind.SEEN, text)
        first, self._first = self._first, None
        doubted, self._doubted = self._doubted, wrong
        if wrong and not doubted:
            self._first = event
            return
        if wrong and first:
            self._tell(first)
        self._tell(event)

    def decided(self, text: str) -> None:
        """Tell what is about to be done."""
        self._write(Kind.DECIDED, text)
        self._seen = ""

    def done(self, text: str) -> None:
        """Tell what was done."""
        self._write(Kind.DONE, text)

    def failed(self, text: str) -> None:
        """Tell what could not be done, and why."""
        self._write(Kind.FAILED, text)

    def _tell(self, event: Event) -> None:
        if event.text != self._seen:
            self._append(event)
            self._seen = event.text

    def _write(self, kind: Kind, text: str) -> None:
        self._append(Event(_now(), kind, text))

    def _append(self, event: Event) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        number = os.open(self.path, flags, 0o600)
        try:
            os.write(number, event.line().encode())
            long = os.fstat(number).st_size > LONGEST
        finally:
            os.close(number)
        if long:
            self.path.replace(self.path.with_suffix(".1"))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def parse(lines: Iterable[str]) -> tuple[Event, ...]:
    """The events of a log's lines; one that is cut off is left out."""
    found = []
    for line in lines:
        try:
            said = json.loads(line)
            found.append(Event(str(said["at"]), Kind(said["kind"]), str(said["text"])))
        except (ValueError, KeyError, TypeError):
            continue
    return tuple(found)
