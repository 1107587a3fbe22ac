"""What pgstead made and did, row by row: resources, materials' ciphertexts, applies, steps."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import sqlalchemy as sa

from pgstead.engine import schema
from pgstead.engine.database import FOLDER, Database
from pgstead.engine.history import History, timestamp
from pgstead.engine.resource import Recorded
from pgstead.engine.schema import materials, resources, stacks
from pgstead.errors import StateError

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite


def default_url(stack_file: Path, name: str) -> str:
    """Where a stack's state is kept by default: SQLite beside the stack file."""
    path = stack_file.absolute().parent / FOLDER / f"{name}.db"
    return f"sqlite:///{quote(str(path))}"


def open_state(url: str, stack_name: str, *, create: bool) -> State:
    """The state of one stack, at `sqlite:///PATH` or `postgresql://...`.

    Without `create`, one that is not there is an empty view that refuses to be written;
    nothing is written to disk. Raises `StateError`.
    """
    database = Database(url)
    try:
        if create:
            database.make_file()
        if (create or database.exists()) and schema.prepare(database, create=create):
            return _of_stack(database, stack_name, create=create)
    except BaseException:
        database.close()
        raise
    database.close()
    return _empty(stack_name)


def _empty(stack_name: str) -> State:
    return State(_in_memory(), stack_name, _new_id(), writable=False)


def draft(stack_name: str, stack_id: str | None = None) -> State:
    """An empty state in memory, which goes with the process; with a new id if none is given."""
    database = _in_memory()
    stack_id = stack_id or _new_id()
    row = {"name": stack_name, "id": stack_id, "created": timestamp()}
    database.write(sa.insert(stacks).values(row))
    return State(database, stack_name, stack_id, writable=True)


def _in_memory() -> Database:
    database = Database("sqlite://")
    schema.prepare(database, create=True)
    return database


def _of_stack(database: Database, stack_name: str, *, create: bool) -> State:
    wanted = sa.select(stacks.c.id).where(stacks.c.name == stack_name)
    found = database.read(wanted)
    if not found and not create:
        return State(database, stack_name, _new_id(), writable=False)
    if not found:
        row = {"name": stack_name, "id": _new_id(), "created": timestamp()}
        # Another process may have made it meanwhile: the first one counts.
        database.write(_insert(database, stacks).values(row).on_conflict_do_nothing())
        found = database.read(wanted)
    return State(database, stack_name, str(found[0].id), writable=True)


class State(History):
    """The rows of one stack. Safe to use from several threads; one row per write.

    All methods raise `StateError`.
    """

    def __init__(self, database: Database, stack: str, stack_id: str, *, writable: bool) -> None:
        super().__init__(database, stack, writable=writable)
        self.stack_id = stack_id
        self._upsert = _upsert(database)

    def recorded(self) -> dict[str, Recorded]:
        """What was made, by address and in its order."""
        mine = sa.select(resources).where(resources.c.stack == self.stack)
        rows = self.database.read(mine.order_by(resources.c.address))
        return {row.address: _to_recorded(row) for row in rows}

    def record(self, recorded: Recorded) -> None:
        """Remember a resource as it is now, in place of what was known of it."""
        self.check_writable()
        self.database.write(self._upsert, **recorded_row(self.stack, recorded))

    def forget(self, address: str) -> None:
        """Forget a resource that is gone."""
        self.check_writable()
        self.database.write(_FORGET, of=self.stack, at=address)

    def materials(self) -> dict[str, bytes]:
        """The materials' ciphertexts, by name."""
        return {
            row.name: bytes(row.ciphertext) for row in self.database.read(_MATERIALS, of=self.stack)
        }

    def key_check(self) -> bytes | None:
        """What tells the right key from a wrong one; None before the first save."""
        found = self.database.read(_KEY_CHECK, of=self.stack)
        return bytes(found[0].key_check) if found and found[0].key_check else None

    def put_materials(
        self,
        changed: Mapping[str, bytes],
        removed: Collection[str] = (),
        *,
        key_check: bytes,
        expected: bytes | None,
    ) -> None:
        """Write, replace and remove materials, all or nothing.

        `expected` is the key check that was read with them. Raises `StateError` if it is
        another by now, and nothing was written.
        """
        self.check_writable()
        with self.database.transaction() as connection:
            found = connection.execute(_KEY_CHECK, {"of": self.stack}).one_or_none()
            if found is None or found.key_check != expected:
                raise StateError(
                    f"the key of stack {self.stack!r} was changed by another process meanwhile",
                    hint="run the same command again",
                )
            update_materials(connection, self.stack, changed, removed)
            connection.execute(_SET_CHECK, {"of": self.stack, "value": key_check})

    def wipe(self) -> None:
        """Forget all resources and materials, after a destroy; the history stays."""
        self.check_writable()
        with self.database.transaction() as connection:
            for table in (resources, materials):
                connection.execute(sa.delete(table).where(table.c.stack == self.stack))
            connection.execute(_SET_CHECK, {"of": self.stack, "value": None})

    def close(self) -> None:
        """Close the database."""
        self.database.close()


def update_materials(
    connection: sa.Connection,
    stack: str,
    changed: Mapping[str, bytes],
    removed: Collection[str] = (),
) -> None:
    """Remove and replace rows, within the caller's transaction."""
    gone = [{"of": stack, "called": name} for name in {*changed, *removed}]
    if gone:
        connection.execute(_REMOVE_MATERIAL, gone)
    rows = [
        {"stack": stack, "name": name, "ciphertext": ciphertext, "created": timestamp()}
        for name, ciphertext in sorted(changed.items())
    ]
    if rows:
        connection.execute(sa.insert(materials), rows)


_FORGET = sa.delete(resources).where(
    resources.c.stack == sa.bindparam("of"), resources.c.address == sa.bindparam("at")
)
_MATERIALS = sa.select(materials.c.name, materials.c.ciphertext).where(
    materials.c.stack == sa.bindparam("of")
)
_REMOVE_MATERIAL = sa.delete(materials).where(
    materials.c.stack == sa.bindparam("of"), materials.c.name == sa.bindparam("called")
)
_KEY_CHECK = sa.select(stacks.c.key_check).where(stacks.c.name == sa.bindparam("of"))
_SET_CHECK = (
    sa.update(stacks)
    .where(stacks.c.name == sa.bindparam("of"))
    .values(key_check=sa.bindparam("value"))
)


def _upsert(database: Database) -> sa.Executable:
    insert = _insert(database, resources)
    keys = ("stack", "address")
    others = {
        each.name: insert.excluded[each.name] for each in resources.c if each.name not in keys
    }
    return insert.on_conflict_do_update(index_elements=keys, set_=others)


def _insert(database: Database, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """Each dialect's own, since SQL leaves it to them what becomes of rows that are there."""
    if database.kind == "postgresql":
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - seldom, and slow to import

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite  # noqa: PLC0415 - not where the other one is meant

    return sqlite.insert(table)


def recorded_row(stack: str, recorded: Recorded) -> dict[str, Any]:
    """A resource as a row of its table."""
    return {
        "stack": stack,
        "address": recorded.address,
        "kind": recorded.kind,
        "status": recorded.status,
        "attributes": dict(recorded.values),
        "after": list(recorded.after),
        "place": dict(recorded.place),
        "holds_data": recorded.holds_data,
        "only_copy": recorded.only_copy,
    }


def _to_recorded(row: sa.Row[Any]) -> Recorded:
    return Recorded(
        address=row.address,
        kind=row.kind,
        values=row.attributes,
        status=row.status,
        after=tuple(row.after),
        place=row.place,
        holds_data=row.holds_data,
        only_copy=row.only_copy,
    )


def _new_id() -> str:
    return secrets.token_hex(4)
