"""What was done to a stack, and by whom: applies and their steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from pgstead.engine.database import Database
from pgstead.engine.lock import is_free, this_process
from pgstead.engine.schema import applies, steps
from pgstead.errors import StateError

KEPT_APPLIES = 200
"""How many applies the history of a stack holds."""


@dataclass(frozen=True, slots=True)
class ApplyEntry:
    """One apply of the history.

    `outcome` is what `end_apply` was told, `running`, or `interrupted` for one that
    neither ended nor runs. Times are in UTC.
    """

    id: int
    command: str
    by: str
    started: datetime
    ended: datetime | None
    outcome: str
    summary: str


@dataclass(frozen=True, slots=True)
class StepEntry:
    """One step of an apply; `error` is None for one that went well or has not ended."""

    id: int
    resource: str
    title: str
    started: datetime
    ended: datetime | None
    error: str | None


_END_APPLY = (
    sa.update(applies)
    .where(applies.c.id == sa.bindparam("of"))
    .values(ended=sa.bindparam("at"), outcome=sa.bindparam("what"), summary=sa.bindparam("text"))
)
_END_STEP = (
    sa.update(steps)
    .where(steps.c.id == sa.bindparam("of"))
    .values(ended=sa.bindparam("at"), error=sa.bindparam("text"))
)
_STEPS = sa.select(steps).where(steps.c.apply == sa.bindparam("of")).order_by(steps.c.id)


class History:
    """The applies of one stack, as rows. All methods raise `StateError`."""

    def __init__(self, database: Database, stack: str, *, writable: bool) -> None:
        self.database = database
        self.stack = stack
        self.writable = writable

    def begin_apply(self, command: str) -> int:
        """Begin an apply; its number. Drops what is older than `KEPT_APPLIES`."""
        self.check_writable()
        holder = this_process(command)
        row = {"stack": self.stack, "command": command, "by": f"{holder.user}@{holder.host}"}
        number = self.database.insert(sa.insert(applies), **row, started=timestamp())
        self._drop_old_applies()
        return number

    def end_apply(self, number: int, outcome: str, summary: str = "") -> None:
        """Say how an apply ended: `done`, `failed`, `interrupted`, ..."""
        self.check_writable()
        self.database.write(
            _END_APPLY, of=number, at=timestamp(), what=outcome, text=_clean(summary)
        )

    def step_started(self, apply: int, resource: str, title: str) -> int:
        """Begin a step of an apply; its number."""
        self.check_writable()
        row = {"apply": apply, "resource": resource, "title": title, "started": timestamp()}
        return self.database.insert(sa.insert(steps), **row)

    def step_ended(self, number: int, error: str | None = None) -> None:
        """Say that a step ended, and with which error; no secret may stand in it."""
        self.check_writable()
        self.database.write(_END_STEP, of=number, at=timestamp(), text=_clean(error))

    def history(self, limit: int = 20) -> list[ApplyEntry]:
        """The latest applies, newest first."""
        mine = sa.select(applies).where(applies.c.stack == self.stack)
        rows = self.database.read(mine.order_by(applies.c.id.desc()).limit(limit))
        running = self._running(rows)
        return [_entry(row, running) for row in rows]

    def steps(self, apply: int) -> list[StepEntry]:
        """The steps of an apply, in the order they began."""
        return [_step(row) for row in self.database.read(_STEPS, of=apply)]

    def check_writable(self) -> None:
        """Raise `StateError` for the view of a state that is not there."""
        if not self.writable:
            raise StateError(f"there is no state of stack {self.stack!r} to write to")

    def _running(self, rows: Sequence[sa.Row[Any]]) -> int | None:
        """The one that runs: the newest without an end, if somebody holds the lock."""
        unended = [row.id for row in rows if not row.ended]
        return unended[0] if unended and not is_free(self) else None

    def _drop_old_applies(self) -> None:
        ids = sa.select(applies.c.id).where(applies.c.stack == self.stack)
        old = self.database.read(ids.order_by(applies.c.id.desc()).offset(KEPT_APPLIES))
        if not old:
            return
        numbers = [row.id for row in old]
        with self.database.transaction() as connection:
            connection.execute(sa.delete(steps).where(steps.c.apply.in_(numbers)))
            connection.execute(sa.delete(applies).where(applies.c.id.in_(numbers)))


def timestamp() -> str:
    """Now, as the state's tables keep it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _clean(text: str | None) -> str | None:
    """Text that any database takes: a server's last words may hold any bytes."""
    return text and text.replace("\0", "").encode("utf-8", "replace").decode()


def _entry(row: sa.Row[Any], running: int | None) -> ApplyEntry:
    going = "running" if row.id == running else "interrupted"
    return ApplyEntry(
        id=row.id,
        command=row.command,
        by=row.by,
        started=datetime.fromisoformat(row.started),
        ended=_ended(row),
        outcome=row.outcome if row.ended else going,
        summary=row.summary or "",
    )


def _step(row: sa.Row[Any]) -> StepEntry:
    started = datetime.fromisoformat(row.started)
    return StepEntry(row.id, row.resource, row.title, started, _ended(row), row.error)


def _ended(row: sa.Row[Any]) -> datetime | None:
    return datetime.fromisoformat(row.ended) if row.ended else None
