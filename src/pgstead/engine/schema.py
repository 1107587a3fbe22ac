"""The state's tables, and how an older schema becomes today's.

The stacks of a team share one database: every row belongs to a stack, by its name.
Times are ISO 8601 texts in UTC.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from pgstead.engine.database import Database
from pgstead.errors import StateError

metadata = sa.MetaData()

version_table = sa.Table(
    "pgstead_schema", metadata, sa.Column("version", sa.Integer, nullable=False)
)

stacks = sa.Table(
    "pgstead_stacks",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("key_check", sa.LargeBinary),
    sa.Column("created", sa.Text, nullable=False),
)

resources = sa.Table(
    "pgstead_resources",
    metadata,
    sa.Column("stack", sa.Text, primary_key=True),
    sa.Column("address", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("attributes", sa.JSON, nullable=False),
    sa.Column("after", sa.JSON, nullable=False),
    sa.Column("place", sa.JSON, nullable=False),
    sa.Column("holds_data", sa.Boolean, nullable=False),
    sa.Column("only_copy", sa.Boolean, nullable=False),
)

materials = sa.Table(
    "pgstead_materials",
    metadata,
    sa.Column("stack", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("ciphertext", sa.LargeBinary, nullable=False),
    sa.Column("created", sa.Text, nullable=False),
)

applies = sa.Table(
    "pgstead_applies",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("stack", sa.Text, nullable=False, index=True),
    sa.Column("command", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("started", sa.Text, nullable=False),
    sa.Column("ended", sa.Text),
    sa.Column("outcome", sa.Text),
    sa.Column("summary", sa.Text),
)

steps = sa.Table(
    "pgstead_steps",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column(
        "apply",
        sa.Integer,
        sa.ForeignKey("pgstead_applies.id"),
        nullable=False,
        index=True,
    ),
    sa.Column("resource", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("started", sa.Text, nullable=False),
    sa.Column("ended", sa.Text),
    sa.Column("error", sa.Text),
)


@dataclass(frozen=True, slots=True)
class Migration:
    """One step from a schema to the next; it runs in the transaction that records it."""

    title: str
    run: Callable[[sa.Connection], None]


MIGRATIONS: tuple[Migration, ...] = ()
"""The first leads from version 1 to 2, and so on; `metadata` is where they all lead.

Released ones are never changed: add one, and change the tables above to match.
"""


def version_of(database: Database, connection: sa.Connection) -> int | None:
    """The schema's version; None where there is none yet."""
    if not sa.inspect(connection).has_table(version_table.name):
        return None
    found = connection.execute(sa.select(version_table.c.version)).scalar_one_or_none()
    if not isinstance(found, int):
        raise StateError(
            f"the state {database.where} does not say which version it is of",
            hint="restore it from a backup or with `pgstead state import`",
        )
    return found


def prepare(
    database: Database, *, create: bool, migrations: tuple[Migration, ...] = MIGRATIONS
) -> bool:
    """Bring the schema to today's version; whether there is one at all afterwards.

    Two processes may do it at once: one waits for the other. Raises `StateError` for a
    schema that is newer than this pgstead.
    """
    latest = 1 + len(migrations)
    with database.reading() as connection:
        found = version_of(database, connection)
    if found == latest:
        return True
    if found is None and not create:
        return False
    with database.transaction() as connection:
        _exclusively(database, connection)
        _advance(database, connection, migrations)
    return True


def _exclusively(database: Database, connection: sa.Connection) -> None:
    """Wait for other processes; SQLite's transaction has done so already."""
    if database.kind == "postgresql":
        lock = "SELECT pg_advisory_xact_lock(hashtext('pgstead'), hashtext('schema'))"
        connection.exec_driver_sql(lock)


def _advance(
    database: Database, connection: sa.Connection, migrations: tuple[Migration, ...]
) -> None:
    found = version_of(database, connection)
    latest = 1 + len(migrations)
    if found is None:
        metadata.create_all(connection, checkfirst=False)
        connection.execute(sa.insert(version_table).values(version=latest))
        return
    if found > latest:
        raise StateError(
            f"the state {database.where} was written by a newer pgstead "
            f"(its schema is {found}, this one knows {latest})",
            hint="upgrade pgstead",
        )
    for migration in migrations[found - 1 :]:
        migration.run(connection)
    connection.execute(sa.update(version_table).values(version=latest))
