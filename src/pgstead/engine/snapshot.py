"""All rows of a stack as JSON values, and back."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from pgstead.engine.schema import applies, materials, resources, stacks, steps
from pgstead.engine.state import State, update_materials

_APPLY_KEYS = ("command", "by", "started", "ended", "outcome", "summary")
_STEP_KEYS = ("resource", "title", "started", "ended", "error")


def take_snapshot(state: State, plain: Mapping[str, bytes]) -> dict[str, Any]:
    """The stack's rows, with its materials as `plain` says."""
    mine = sa.select(resources).where(resources.c.stack == state.stack)
    history = sa.select(applies).where(applies.c.stack == state.stack).order_by(applies.c.id)
    with state.database.transaction() as connection:
        made = [dict(row) for row in connection.execute(mine).mappings()]
        done = [
            _with_steps(connection, row) for row in connection.execute(history).mappings().all()
        ]
    return {
        "stack": state.stack,
        "stack_id": state.stack_id,
        "resources": made,
        "materials": {name: base64.b64encode(each).decode() for name, each in plain.items()},
        "applies": done,
    }


def restore_rows(
    state: State,
    content: Mapping[str, Any],
    ciphertexts: Mapping[str, bytes],
    key_check: bytes | None,
) -> None:
    """Replace all rows of the stack by those of a snapshot, all or nothing."""
    with state.database.transaction() as connection:
        _clear(connection, state.stack)
        identity = sa.update(stacks).where(stacks.c.name == state.stack)
        connection.execute(identity.values(id=content["stack_id"], key_check=key_check))
        if content["resources"]:
            connection.execute(sa.insert(resources), content["resources"])
        update_materials(connection, state.stack, ciphertexts)
        for each in content["applies"]:
            _insert_apply(connection, state.stack, each)


def _with_steps(connection: sa.Connection, row: sa.RowMapping) -> dict[str, Any]:
    mine = sa.select(steps).where(steps.c.apply == row["id"]).order_by(steps.c.id)
    taken = [{key: step[key] for key in _STEP_KEYS} for step in connection.execute(mine).mappings()]
    return {key: row[key] for key in _APPLY_KEYS} | {"steps": taken}


def _clear(connection: sa.Connection, stack: str) -> None:
    old = sa.select(applies.c.id).where(applies.c.stack == stack)
    connection.execute(sa.delete(steps).where(steps.c.apply.in_(old)))
    for table in (applies, resources, materials):
        connection.execute(sa.delete(table).where(table.c.stack == stack))


def _insert_apply(connection: sa.Connection, stack: str, each: Mapping[str, Any]) -> None:
    row = {key: each[key] for key in _APPLY_KEYS} | {"stack": stack}
    key = connection.execute(sa.insert(applies), row).inserted_primary_key
    taken = [{**step, "apply": key[0]} for step in each["steps"]] if key else []
    if taken:
        connection.execute(sa.insert(steps), taken)
