"""A newer major version of PostgreSQL that gets installed beside the one that runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support.stack import SMALL, Stack, stack_in

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("major"), pytest.mark.timeout(180)]

FORGET = "DELETE FROM pgstead_materials WHERE name LIKE 'remembered/postgresql/%'"


@pytest.fixture(scope="module")
def newer(folder: Path) -> Path:
    """A PostgreSQL 16 that can tell its version, where pgstead looks, for everybody to run."""
    programs = folder / "home/.cache/pgstead/packages/bin/postgresql-16"
    programs.mkdir(parents=True)
    postgres = programs / "postgres"
    postgres.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 16.2'\n")
    for each in (postgres, *programs.parents):
        if each.is_relative_to(folder):
            each.chmod(0o755)
    return programs


def cluster(**postgres: Any) -> dict[str, Any]:
    return {**SMALL, "postgres": {**SMALL["postgres"], **postgres}}


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    with stack_in(folder, "t-major") as made:
        made.write(SMALL)
        made.up()
        with psycopg.connect(made.dsn(), autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS number")
        yield made


@pytest.fixture
def restored(stack: Stack) -> Iterator[Stack]:
    """Whose file asks for what is there again at the end."""
    yield stack
    stack.write(SMALL)


def programs_of(stack: Stack, machine: str) -> str:
    text = (stack.machine(machine) / "etc/patroni/patroni.yml").read_text()
    (line,) = [each.split() for each in text.splitlines() if "bin_dir:" in each]
    return line[1].strip("'\"")


def test_it_changes_nothing(stack: Stack, newer: Path) -> None:
    assert newer.is_dir()
    found = stack.run("doctor").stdout
    assert "16.2" in found, "pgstead does see it"
    assert stack.plan() == {}
    assert stack.up()["changed"] == []


@pytest.mark.usefixtures("newer")
def test_the_data_tells_where_nothing_is_remembered(stack: Stack) -> None:
    (database,) = (stack.folder / ".pgstead").glob("*.db")
    connection = sqlite3.connect(database)
    with connection:
        gone = connection.execute(FORGET)
        assert gone.rowcount == 1
    connection.close()
    assert stack.plan() == {}


@pytest.mark.usefixtures("newer")
def test_asked_for_it_is_refused_and_all_goes_on(restored: Stack) -> None:
    stack = restored
    stack.write(cluster(version="16", parameters={"work_mem": "8MB"}))
    changes = stack.plan()
    for machine in ("machine.postgres-1", "machine.postgres-2"):
        assert changes[machine]["action"] == "refuse"
        assert "PostgreSQL 16 cannot open its data" in changes[machine]["reasons"][0]
    done = stack.run("up", str(stack.file), "--yes", code=None)
    assert done.returncode
    assert "which PostgreSQL 15 made" in done.stderr
    assert "pg_dumpall" in done.stderr
    stack.becomes_whole()
    with psycopg.connect(stack.dsn()) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (42,)
        assert connection.execute("SHOW work_mem").fetchone() == ("4MB",), "nothing was changed"


def test_without_its_own_it_says_which_package_lacks(restored: Stack, newer: Path) -> None:
    stack = restored
    platform = {"kind": "local", "binaries": {"postgresql": str(newer)}}
    stack.write(SMALL, platform=platform)
    done = stack.run("plan", str(stack.file), code=None)
    assert done.returncode
    assert "postgresql 15 is not installed" in done.stderr
    assert "postgresql-15" in done.stderr
    stack.becomes_whole()  # what runs needs nothing


@pytest.mark.usefixtures("newer")
def test_a_new_member_has_its_clusters_version(stack: Stack) -> None:
    stack.write(cluster(members=3))
    assert "machine.postgres-3" in stack.up()["changed"]
    stack.becomes_whole()
    assert programs_of(stack, "postgres-3") == programs_of(stack, "postgres-1")
    assert "/15/" in programs_of(stack, "postgres-1")
