"""A PostgreSQL of its own, from first to last: the module `postgres-server`."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from support.members import eventually, mains
from support.stack import Stack, stack_in

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("standalone"), pytest.mark.timeout(180)]


def server(**variables: Any) -> dict[str, Any]:
    """A stack file's content, but for its name and platform."""
    db = {
        "source": "postgres-server",
        "name": "db",
        "ca": "own",
        "key_length": None,
        "postgres_user": "owner",
        "postgres_database": "shop",
        "certificate_validity_period": 8760,
        "certificate_early_renewal": 720,
        **variables,
    }
    return {"certificate_authorities": {"own": {}}, "modules": {"db": db}}


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    with stack_in(folder, "t-standalone") as made:
        made.write(**server())
        made.up()
        with psycopg.connect(made.dsn(), autocommit=True) as connection:
            connection.execute("CREATE TABLE kept (id int)")
            connection.execute("INSERT INTO kept VALUES (42)")
        yield made


def ask(dsn: str, question: str) -> str:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(question.encode()).fetchone()
        assert row
        return str(row[0])


def started(stack: Stack) -> str:
    return ask(stack.dsn(), "SELECT pg_postmaster_start_time()")


def test_it_is_whole_and_reached_as_printed(stack: Stack) -> None:
    status = stack.status()
    assert status["whole"], status["problems"]
    (member,) = status["members"]
    assert (member["machine"], member["role"], member["state"]) == ("db", "standalone", "running")
    dsn = stack.dsn()
    assert "sslmode=verify-full" in dsn
    assert ask(dsn, "SELECT current_user || ' ' || current_database()") == "owner shop"
    done = stack.run("psql", str(stack.file), "--", "-Atc", "SELECT id FROM kept")
    assert done.stdout == "42\n"
    assert stack.up()["changed"] == []


def test_it_is_verified_in_full(stack: Stack, tmp_path: Path) -> None:
    dsn = stack.dsn()
    other = tmp_path / "other.crt"
    other.write_bytes((stack.folder / ".pgstead" / stack.name / "ca.crt").read_bytes()[:-200])
    host = re.search(r"@([\d.]+):", dsn)
    assert host
    for words in ({"sslrootcert": str(other)}, {"host": "elsewhere", "hostaddr": host[1]}):
        with pytest.raises(psycopg.OperationalError, match="certificate"):
            psycopg.connect(dsn, **words)
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        psycopg.connect(dsn, sslmode="disable")


def test_a_parameter_is_changed_by_a_reload_where_that_is_enough(stack: Stack) -> None:
    before = started(stack)
    stack.write(**server(postgres_params="-c 'work_mem=5MB'"))
    (change,) = stack.plan().values()
    assert (change["action"], change["effect"]) == ("update", "reload")
    stack.up()
    eventually(lambda: ask(stack.dsn(), "SHOW work_mem") == "5MB")  # it was told, and does it
    assert started(stack) == before
    stack.write(**server(postgres_params="-c 'work_mem=5MB' -c 'max_connections=37'"))
    (change,) = stack.plan().values()
    assert change["effect"] == "restart"
    stack.up()
    assert ask(stack.dsn(), "SHOW max_connections") == "37"
    assert started(stack) != before
    assert stack.plan() == {}


def test_a_new_password_works_and_the_old_one_does_not(stack: Stack) -> None:
    old = stack.dsn("--with-password")
    stack.write(**server(postgres_password="a new password"))
    stack.up()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(old)
    assert ask(stack.dsn(), "SELECT id FROM kept") == "42"
    assert "a%20new%20password" in stack.dsn("--with-password")
    assert stack.plan() == {}


def test_a_certificate_is_renewed_without_a_restart(stack: Stack) -> None:
    before, ends = started(stack), stack.status()["members"][0]["certificate_expires"]
    stack.write(**server(postgres_password="a new password", certificate_validity_period=2 * 8760))
    stack.up()
    assert stack.status()["members"][0]["certificate_expires"] > ends
    assert started(stack) == before
    assert stack.plan() == {}


def test_a_backend_that_outlives_its_server_does_not_keep_it_from_starting(stack: Stack) -> None:
    with psycopg.connect(stack.dsn()) as client:
        backend = psutil.Process(client.info.backend_pid)
        backend.suspend()
        (main,) = mains(stack, "db", "postgres")
        os.kill(main, signal.SIGKILL)
        backend.wait(30)
    stack.becomes_whole()
    assert main not in mains(stack, "db", "postgres")


def test_stop_and_start_keep_its_data(stack: Stack) -> None:
    file = str(stack.file)
    stack.run("stop", file, "--yes")
    assert "the stack is stopped" in stack.run("status", file, code=1).stdout
    stack.run("start", file, "db")
    assert ask(stack.dsn(), "SELECT id FROM kept") == "42"


def test_its_data_is_never_replaced_unasked(stack: Stack) -> None:
    file, machine = str(stack.file), stack.machine("db")
    stack.run("stop", file, "--yes")
    machine.rename(machine.with_name("aside"))
    said = stack.run("up", file, "--yes", code=1).stderr
    assert "machine.db was made and is gone, and with it the only copy of its data" in said
    assert "--recreate machine.db" in said
    assert not machine.exists()
    stack.up("--recreate", "machine.db")
    assert stack.status()["whole"]
    with pytest.raises(psycopg.errors.UndefinedTable):
        ask(stack.dsn(), "SELECT id FROM kept")


def test_destroy_says_where_it_kept_the_data(stack: Stack) -> None:
    done = stack.run("destroy", str(stack.file), "--yes")
    kept = re.search(r"^Data kept in (\S+)$", done.stdout, re.MULTILINE)
    assert kept
    assert list(Path(kept[1]).rglob("PG_VERSION"))
    assert stack.processes() == []
    stack.run("destroy", str(stack.file), "--yes", "--delete-data")
    assert not Path(kept[1]).exists()
