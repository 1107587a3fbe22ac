"""The state in a PostgreSQL that a team shares: a real server, locks, and its failures."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from pgstead.engine import schema
from pgstead.engine.database import Database
from pgstead.engine.export import export_state, import_state
from pgstead.engine.keys import key_place
from pgstead.engine.lock import check_held, force_unlock, is_free, lock
from pgstead.engine.resource import Recorded
from pgstead.engine.schema import Migration
from pgstead.engine.state import State, open_state
from pgstead.engine.vault import Vault
from pgstead.errors import StateError
from pgstead.waiting import wait

pytestmark = pytest.mark.real

ADDRESS = "127.91.7.1"
PASSWORD = secrets.token_hex(12)
RECORDED = Recorded("machine.a", "machine", {"file": "abc", "port": 1}, place={"ports": [1]})


def programs() -> Path:
    """The folder of the newest PostgreSQL that is installed."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3])
    )
    if not found:
        pytest.skip("needs PostgreSQL's server programs")
    return found[-1].parent


def free_port() -> int:
    with socket.create_server((ADDRESS, 0)) as probe:
        return int(probe.getsockname()[1])


class Server:
    """A PostgreSQL of an unprivileged user, with a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.user = "postgres" if os.geteuid() == 0 else None
        self.bin = programs()

    def make(self) -> None:
        (self.folder / "password").write_text(PASSWORD, encoding="utf-8")
        if self.user:
            owner = pwd.getpwnam(self.user)
            for path in (self.folder, self.folder / "password"):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        self.run(
            "initdb", "-D", self.data, "-U", "team", "--no-sync", "-A", "scram-sha-256",
            "--pwfile", str(self.folder / "password"), "-E", "UTF8", "--locale", "C",
        )  # fmt: skip

    @property
    def data(self) -> str:
        return str(self.folder / "data")

    def start(self) -> None:
        options = f"-c listen_addresses={ADDRESS} -p {self.port} -k {self.folder} -F"
        log = str(self.folder / "log")
        self.run("pg_ctl", "start", "-w", "-D", self.data, "-l", log, "-o", options)

    def stop(self, mode: str = "fast") -> None:
        self.run("pg_ctl", "stop", "-w", "-D", self.data, "-m", mode)

    def run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self.bin / program), *arguments],
            user=self.user,
            group=self.user,
            extra_groups=[] if self.user else None,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=60,
        )

    def url(self, database: str = "postgres", user: str = "team", password: str = PASSWORD) -> str:
        return f"postgresql://{user}:{password}@{ADDRESS}:{self.port}/{database}"

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement.encode())


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    # Short, since a socket's path has 107 bytes at most; readable by the server's user.
    folder = Path(tempfile.mkdtemp(prefix="pgs-", dir="/tmp"))
    made = Server(folder)
    try:
        made.make()
        made.start()
        yield made
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            made.stop("immediate")
        shutil.rmtree(folder)


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    """A new, empty database."""
    name = f"state_{secrets.token_hex(4)}"
    server.execute(f"CREATE DATABASE {name}")
    yield server.url(name)
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def opened(url: str, stack: str = "demo", *, create: bool = True) -> Iterator[State]:
    state = open_state(url, stack, create=create)
    try:
        yield state
    finally:
        state.close()


def test_the_rows_of_a_stack(url: str) -> None:
    with opened(url) as state:
        state.record(replace(RECORDED, status="creating"))
        state.record(RECORDED)
        number = state.begin_apply("up")
        state.step_ended(state.step_started(number, "machine.a", "create"), "no")
        state.end_apply(number, "failed", "no")
        with opened(url, create=False) as again:
            assert again.stack_id == state.stack_id
            assert again.recorded() == {"machine.a": RECORDED}
            assert again.history()[0].outcome == "failed"
            assert again.steps(number)[0].error == "no"
            again.forget("machine.a")
        assert state.recorded() == {}


def test_a_plan_before_the_first_up_writes_nothing(url: str) -> None:
    with opened(url, create=False) as view:
        assert view.recorded() == {}
    with psycopg.connect(url) as connection:
        tables = "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'pgstead%'"
        assert connection.execute(tables).fetchone() == (0,)


def test_stacks_share_a_database(url: str) -> None:
    with opened(url, "one") as one, opened(url, "two") as two:
        one.record(RECORDED)
        with lock(one, "up"), lock(two, "up"):
            two.wipe()
        assert two.recorded() == {}
        assert list(one.recorded()) == ["machine.a"]


def test_two_create_it_at_once(url: str) -> None:
    barrier = threading.Barrier(4)

    def create(_: int) -> str:
        barrier.wait(10)
        with opened(url) as state:
            return state.stack_id

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(create, range(4)))) == 1


def test_a_migration(url: str) -> None:
    def colour(connection: sa.Connection) -> None:
        connection.exec_driver_sql("ALTER TABLE pgstead_stacks ADD COLUMN colour TEXT")

    with opened(url):
        pass
    database = Database(url)
    assert schema.prepare(database, create=True, migrations=(Migration("colour", colour),))
    database.close()
    with pytest.raises(StateError, match="newer pgstead"):
        open_state(url, "demo", create=False)


def test_many_threads_write_at_once(url: str) -> None:
    with opened(url) as state:
        with ThreadPoolExecutor(8) as pool:
            names = [f"machine.{turn}" for turn in range(100)]
            list(pool.map(lambda name: state.record(replace(RECORDED, address=name)), names))
        assert len(state.recorded()) == 100


def test_materials_export_and_import(url: str, tmp_path: Path) -> None:
    with opened(url) as state:
        keys = key_place(state.stack_id, {"XDG_CONFIG_HOME": str(tmp_path)})
        Vault(state, keys).save({"password/a": b"secret words"})
        Vault(state, keys).rekey()
        state.record(RECORDED)
        state.step_started(state.begin_apply("up"), "a", "b")
        export_state(state, tmp_path / "x", passphrase="correct horse", keys=keys)
        state.wipe()
        import_state(state, tmp_path / "x", passphrase="correct horse", keys=keys)
        assert state.recorded() == {"machine.a": RECORDED}
        assert Vault(state, keys).load() == {"password/a": b"secret words"}
        assert len(state.history()) == 1


def test_the_refused_one_is_told_who_holds_it(url: str) -> None:
    with opened(url) as first, opened(url) as second:
        number = first.begin_apply("up")
        assert second.history()[0].outcome == "interrupted"
        with lock(first, "up") as held:
            check_held(held)
            assert second.history()[0].outcome == "running"
            with pytest.raises(StateError) as caught, lock(second, "destroy"):
                pytest.fail("two hold it")
            assert f"`up` (pid {os.getpid()}, " in caught.value.message
            assert "since 20" in caught.value.message
        assert is_free(second)
        first.end_apply(number, "done")


def test_the_holder_is_named_to_a_user_without_privileges(server: Server, url: str) -> None:
    role = f"colleague_{secrets.token_hex(3)}"
    server.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'pass-words'")
    name = url.rpartition("/")[2]
    server.execute(f"ALTER DATABASE {name} OWNER TO {role}")
    colleagues = server.url(name, role, "pass-words")
    with opened(colleagues) as theirs, opened(url) as ours:
        with lock(ours, "up"):
            with pytest.raises(StateError, match=rf"`up` \(pid {os.getpid()}, "):
                lock(theirs, "up").__enter__()
            with pytest.raises(StateError, match="no permission to end the session"):
                force_unlock(theirs)
        assert is_free(theirs)
    server.execute(f"ALTER DATABASE {name} OWNER TO team")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP OWNED BY {role}".encode())
    server.execute(f"DROP ROLE {role}")


HOLD = """
import sys
from pgstead.engine.lock import lock
from pgstead.engine.state import open_state
with lock(open_state(sys.argv[1], "demo", create=True), "up"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_killed_holder_never_blocks(url: str) -> None:
    command = [sys.executable, "-c", HOLD, url]
    with (
        opened(url) as state,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert not is_free(state)
        process.kill()
        process.wait(10)
        wait(lambda: is_free(state), deadline=10, what="the server to notice")
        with lock(state, "up") as held:
            assert held.still_held()


def test_a_lost_connection_is_a_lost_lock(url: str) -> None:
    with opened(url) as state, opened(url) as other, lock(state, "up") as old:
        holder = force_unlock(other)
        assert holder is not None
        assert holder.pid == os.getpid()
        assert not old.still_held()
        with lock(other, "up") as new:
            assert new.still_held()
            with pytest.raises(StateError, match="was lost"):
                check_held(old)


def test_a_server_that_restarts(server: Server, url: str) -> None:
    with opened(url) as state:
        state.record(RECORDED)
        with lock(state, "up") as held:
            server.stop()
            with pytest.raises(StateError, match="cannot be reached"):
                state.record(RECORDED)
            server.start()
            state.record(replace(RECORDED, address="machine.b"))
            assert not held.still_held()
        assert list(state.recorded()) == ["machine.a", "machine.b"]


def test_errors_without_the_password(server: Server, url: str) -> None:
    def message(bad: str) -> str:
        with pytest.raises(StateError) as caught:
            open_state(bad, "demo", create=True)
        assert caught.value.hint is not None
        text = f"{caught.value.message} {caught.value.hint} {caught.value.__cause__}"
        assert "wrong-pass" not in text
        assert PASSWORD not in text
        return text

    assert "refused the user or the password" in message(server.url(password="wrong-pass"))
    assert "does not know" in message(server.url("nowhere"))
    assert "cannot be reached" in message(f"postgresql://team:{PASSWORD}@{ADDRESS}:1/postgres")
    role = f"guest_{secrets.token_hex(3)}"
    server.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'pass-words'")
    guest = server.url(url.rpartition("/")[2], role, "pass-words")
    assert "no permission" in message(guest)
    server.execute(f"DROP ROLE {role}")
