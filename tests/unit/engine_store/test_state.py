"""The state: rows in SQLite, and what happens when the database is not as it should be."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from pgstead.engine import history, schema
from pgstead.engine.database import Database
from pgstead.engine.lock import lock
from pgstead.engine.resource import Recorded
from pgstead.engine.schema import Migration
from pgstead.engine.state import State, default_url, open_state
from pgstead.errors import StateError

NOBODY = 65534

RECORDED = Recorded(
    address="machine.etcd-1",
    kind="machine",
    values={"file": "abc", "port": 2379, "ratio": 0.5, "on": True, "none": None},
    status="creating",
    after=("machine.etcd-0",),
    place={"folder": "/somewhere", "ports": [1, 2]},
    holds_data=True,
    only_copy=True,
)


def database_file(folder: Path) -> Path:
    return folder / ".pgstead" / "demo.db"


def test_what_is_recorded_is_read_back(url: str, state: State) -> None:
    state.record(RECORDED)
    state.record(replace(RECORDED, address="machine.b"))
    state.record(replace(RECORDED, status="ready"))
    again = open_state(url, "demo", create=False)
    assert again.recorded() == {
        "machine.b": replace(RECORDED, address="machine.b"),
        "machine.etcd-1": replace(RECORDED, status="ready"),
    }
    assert again.stack_id == state.stack_id
    again.forget("machine.b")
    assert list(state.recorded()) == ["machine.etcd-1"]
    again.close()


def test_a_plan_before_the_first_up_writes_nothing(url: str, tmp_path: Path) -> None:
    view = open_state(url, "demo", create=False)
    assert view.recorded() == {}
    assert view.history() == []
    assert view.materials() == {}
    assert len(view.stack_id) == 8
    with pytest.raises(StateError, match="no state of stack 'demo'"):
        view.record(RECORDED)
    view.close()
    assert list(tmp_path.iterdir()) == []


def test_another_stack_in_the_same_database_is_separate(url: str, state: State) -> None:
    state.record(RECORDED)
    view = open_state(url, "other", create=False)
    assert view.recorded() == {}
    with pytest.raises(StateError, match="no state of stack 'other'"):
        view.begin_apply("up")
    view.close()
    other = open_state(url, "other", create=True)
    other.wipe()
    assert other.stack_id != state.stack_id
    assert state.recorded() == {RECORDED.address: RECORDED}
    other.close()


def test_files_are_for_their_owner_alone(state: State, tmp_path: Path) -> None:
    state.record(RECORDED)
    folder = tmp_path / ".pgstead"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in folder.glob("demo.db*")}
    assert set(modes.values()) == {0o600}
    assert (folder / ".gitignore").read_text(encoding="utf-8") == "*\n"


def test_paths_with_unusual_characters(tmp_path: Path) -> None:
    strange = tmp_path / "a b?c%20d#é"
    opened = open_state(default_url(strange / "stack.yaml", "demo"), "demo", create=True)
    assert database_file(strange).exists()
    opened.close()


def test_wipe_keeps_the_history(state: State) -> None:
    state.record(RECORDED)
    state.put_materials({"a": b"1"}, key_check=b"check", expected=None)
    state.end_apply(state.begin_apply("destroy"), "done")
    state.wipe()
    assert state.recorded() == {}
    assert state.materials() == {}
    assert state.key_check() is None
    assert [entry.command for entry in state.history()] == ["destroy"]


def test_materials_are_written_all_or_nothing(state: State) -> None:
    state.put_materials({"a": b"1", "b": b"2"}, key_check=b"check", expected=None)
    with pytest.raises(StateError, match="changed by another process"):
        state.put_materials({"a": b"3"}, key_check=b"other", expected=None)
    state.put_materials({"a": b"4"}, ["b"], key_check=b"check", expected=b"check")
    assert state.materials() == {"a": b"4"}


def test_history_tells_running_from_interrupted(state: State) -> None:
    state.begin_apply("up")
    with lock(state, "up"):
        number = state.begin_apply("up")
        assert [entry.outcome for entry in state.history()] == ["running", "interrupted"]
        state.end_apply(number, "failed", "no room")
    newest, oldest = state.history()
    assert (newest.outcome, newest.summary, oldest.outcome) == ("failed", "no room", "interrupted")
    assert newest.ended is not None
    assert newest.ended >= newest.started
    assert "@" in newest.by
    assert len(state.history(limit=1)) == 1


def test_steps_of_an_apply(state: State) -> None:
    number = state.begin_apply("up")
    first = state.step_started(number, "machine.a", "create")
    second = state.step_started(number, "machine.b", "create")
    state.step_ended(second, "it burns")
    state.step_ended(first)
    found = state.steps(number)
    assert [(step.resource, step.error) for step in found] == [
        ("machine.a", None),
        ("machine.b", "it burns"),
    ]
    assert all(step.ended for step in found)


def test_errors_with_any_bytes_can_be_kept(state: State) -> None:
    number = state.begin_apply("up")
    broken = b"last \xff\x00 words".decode(errors="surrogateescape")
    state.step_ended(state.step_started(number, "machine.a", "create"), broken)
    assert state.steps(number)[0].error == "last ? words"


def test_the_history_has_an_end(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "KEPT_APPLIES", 3)
    for turn in range(5):
        state.step_started(state.begin_apply(f"up {turn}"), "a", "b")
    assert [entry.command for entry in state.history()] == ["up 4", "up 3", "up 2"]
    assert len(state.database.read(sa.select(schema.steps))) == 3


def test_many_threads_write_at_once(state: State) -> None:
    number = state.begin_apply("up")

    def work(turn: int) -> None:
        state.record(replace(RECORDED, address=f"machine.{turn}"))
        state.step_ended(state.step_started(number, f"machine.{turn}", "create"))
        state.recorded()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(200)))
    assert len(state.recorded()) == 200
    assert len(state.steps(number)) == 200


CREATE = "import sys; from pgstead.engine.state import open_state as o; \
print(o(sys.argv[1], 'demo', create=True).stack_id)"


def test_two_processes_create_it_at_once(url: str) -> None:
    command = [sys.executable, "-c", CREATE, url]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    ids = {each.communicate(timeout=120)[0].strip() for each in started}
    assert [each.returncode for each in started] == [0, 0, 0]
    assert len(ids) == 1


def two_versions(database: Database) -> tuple[Migration, ...]:
    def run(connection: sa.Connection) -> None:
        connection.exec_driver_sql("ALTER TABLE pgstead_stacks ADD COLUMN colour TEXT")

    return (Migration("stacks have a colour", run),)


def test_an_older_schema_is_migrated_once(url: str, state: State) -> None:
    state.record(RECORDED)
    database = Database(url)
    newer = two_versions(database)
    assert schema.prepare(database, create=False, migrations=newer)
    assert schema.prepare(database, create=False, migrations=newer)
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT colour FROM pgstead_stacks").all() == [(None,)]
    with pytest.raises(StateError, match=r"newer pgstead \(its schema is 2, this one knows 1\)"):
        open_state(url, "demo", create=False)
    database.close()


def test_two_threads_migrate_at_once(url: str, state: State) -> None:
    barrier = threading.Barrier(2)

    def migrate(_: int) -> bool:
        database = Database(url)
        barrier.wait(60)
        try:
            return schema.prepare(database, create=True, migrations=two_versions(database))
        finally:
            database.close()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(migrate, range(2))) == [True, True]


def test_a_migration_that_fails_changes_nothing(url: str, state: State) -> None:
    def fail(connection: sa.Connection) -> None:
        connection.exec_driver_sql("DROP TABLE pgstead_resources")
        connection.exec_driver_sql("this is no SQL")

    state.record(RECORDED)
    database = Database(url)
    with pytest.raises(StateError):
        schema.prepare(database, create=True, migrations=(Migration("broken", fail),))
    database.close()
    assert state.recorded() == {RECORDED.address: RECORDED}


def test_a_file_that_is_no_database(url: str, tmp_path: Path) -> None:
    database_file(tmp_path).parent.mkdir()
    database_file(tmp_path).write_text("shopping list\n" * 100, encoding="utf-8")
    with pytest.raises(StateError, match=r"demo\.db is not a database") as caught:
        open_state(url, "demo", create=True)
    assert caught.value.hint is not None
    assert database_file(tmp_path).read_text(encoding="utf-8").startswith("shopping list")


def test_a_damaged_database(url: str, tmp_path: Path) -> None:
    opened = open_state(url, "demo", create=True)
    for turn in range(200):
        opened.record(replace(RECORDED, address=f"machine.{turn}"))
    opened.close()
    content = bytearray(database_file(tmp_path).read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    database_file(tmp_path).write_bytes(content)
    with pytest.raises(StateError, match="is damaged"):
        open_state(url, "demo", create=False).recorded()


def test_a_full_disk(state: State) -> None:
    with state.database.reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StateError, match="no room left") as caught:
        state.put_materials({"a": b"x" * 100_000}, key_check=b"check", expected=None)
    assert "free some room" in str(caught.value.hint)
    assert state.materials() == {}
    assert state.key_check() is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
@pytest.mark.parametrize("create", [True, False])
def test_no_permission(url: str, state: State, tmp_path: Path, *, create: bool) -> None:
    tmp_path.chmod(0o755)
    os.seteuid(NOBODY)
    try:
        with pytest.raises(StateError, match="no permission for the state") as caught:
            open_state(url, "demo", create=create)
    finally:
        os.seteuid(0)
    assert "run as the user who owns it" in str(caught.value.hint)


def test_a_locked_database(
    url: str, state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgstead.engine.database.BUSY_SECONDS", 0.05)
    impatient = open_state(url, "demo", create=True)
    other = sqlite3.connect(database_file(tmp_path), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StateError, match="being written by another process"):
        impatient.record(RECORDED)
    other.close()
    impatient.close()


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("mysql://root:hunter2@host/db", "kind 'mysql'"),
        ("postgresql://u:hunter2@host:port/db", "cannot be read"),
        ("nonsense", "kind 'nonsense'"),
    ],
)
def test_urls_that_cannot_be(bad: str, words: str) -> None:
    with pytest.raises(StateError, match=words) as caught:
        open_state(bad, "demo", create=True)
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


def test_the_password_is_not_shown() -> None:
    database = Database("postgresql://user:hunter2@host/db?password=hunter2&sslmode=require")
    assert database.where == "postgresql://user:***@host/db"
    database.close()


def test_a_state_in_memory() -> None:
    opened = open_state("sqlite://", "demo", create=True)
    opened.record(RECORDED)
    with lock(opened, "up") as held, ThreadPoolExecutor(4) as pool:
        assert held.still_held()
        assert all(len(each) == 1 for each in pool.map(lambda _: opened.recorded(), range(8)))
    opened.close()


def test_neither_the_orm_nor_psycopg_is_imported() -> None:
    program = (
        "import sys\nfrom pgstead.engine.state import open_state\n"
        "open_state('sqlite://', 'a', create=True)\n"
        "sys.exit(any(each in sys.modules for each in ('sqlalchemy.orm', 'psycopg')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
