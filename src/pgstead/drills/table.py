"""The table that a drill writes into: its own, made for a round and dropped after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass

from pgstead.drills.wire import Failed, Patience, Rows, connect
from pgstead.waiting import pause, wait

TABLE = "pgstead_drill"

SECONDS = 10.0
"""For a connection, and for an answer."""

DEADLINE = 60.0
"""Seconds until the primary must have answered."""


@dataclass(frozen=True, slots=True)
class Table:
    """The table, by way of the primary's endpoint: libpq URIs of one host each.

    It has no unique index: that would hide a row that is there twice.
    """

    primary: Sequence[str]
    sleep: Callable[[float], None] = pause

    def make(self) -> None:
        """Make it, empty; one that an interrupted drill left goes first. Raises `NotReady`."""
        self._answer(f"DROP TABLE IF EXISTS {TABLE}")
        self._answer(f"CREATE TABLE {TABLE} (id bigint NOT NULL)")

    def rows(self) -> list[int]:
        """The ids that are there, each as often as it is. Raises `NotReady`."""
        return [int(row[0] or 0) for row in self._answer(f"SELECT id FROM {TABLE}")]  # noqa: S608 - a constant

    def drop(self) -> None:
        """Drop it if the primary answers; else the next drill does."""
        with suppress(Failed):
            self._ask(f"DROP TABLE IF EXISTS {TABLE}")

    def _answer(self, statement: str) -> Rows:
        said: list[str] = []

        def attempt() -> Rows | None:
            try:
                return self._ask(statement)
            except Failed as error:
                said[:] = [error.message]
                return None

        return wait(
            attempt,
            deadline=DEADLINE,
            what="the primary to answer",
            error=lambda: said[0],
            sleep=self.sleep,
        )

    def _ask(self, statement: str) -> Rows:
        """What the first host that takes connections gives."""
        why = Failed("there is no host to connect to")
        for uri in self.primary:
            try:
                wire = connect(uri, Patience(SECONDS))
            except Failed as error:
                why = error
                continue
            with closing(wire):
                return wire.rows(statement)
        raise why
