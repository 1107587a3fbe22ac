"""Errors that a user meets: each names the thing, says what to do, and shows no traceback."""

import json
import os
import pty
import re
import secrets
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from support.stack import COMMAND, SMALL, Stack, stack_in

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("errors"), pytest.mark.timeout(180)]


def standalone(**variables: Any) -> dict[str, Any]:
    """What a stack file needs for one server of its own."""
    db = {"source": "postgres-server", "name": "db", "ca": "own", "key_length": None, **variables}
    return {"certificate_authorities": {"own": {}}, "modules": {"db": db}}


@pytest.fixture
def stack(own_folder: Path) -> Iterator[Stack]:
    with stack_in(own_folder, "t-errors") as made:
        yield made
        if not (made.folder / ".pgstead").exists():
            made.file.unlink(missing_ok=True)  # nothing was begun, so that nothing can be left
        elif not made.processes():
            made.write(**standalone())  # whatever the test wrote, it can be destroyed


def refused(stack: Stack, *words: str, code: int = 1) -> str:
    """What is said on standard error: a message first, then a hint."""
    said = stack.run(words[0], str(stack.file), *words[1:], code=code).stderr
    assert re.search(r"^error: .*^hint: ", said, re.MULTILINE | re.DOTALL), said
    return said


def nothing_was_made(stack: Stack) -> bool:
    return not stack.processes() and not list(Path("/var/lib/pgstead").glob(f"{stack.name}-*"))


def program(place: Path, answer: str) -> Path:
    place.parent.mkdir(mode=0o755, exist_ok=True)
    place.write_text(f"#!/bin/sh\necho '{answer}'\n")
    place.chmod(0o755)
    return place


def own_net() -> str:
    """The first three octets of a network that another run at the same time hardly has."""
    return f"127.{128 + secrets.randbelow(50)}.{secrets.randbelow(255)}"


@contextmanager
def listener(address: str, port: int) -> Iterator[str]:
    """A listener of this process, and how it is called in messages."""
    with socket.create_server((address, port)):
        yield f"process {os.getpid()}"


# -- programs


def test_missing_programs_are_all_named(stack: Stack) -> None:
    binaries = {"etcd": "/nowhere/etcd", "haproxy": "/nowhere/haproxy"}
    stack.write(SMALL, platform={"kind": "local", "binaries": binaries})
    said = refused(stack, "up", "--yes")
    assert "etcd: there is no program /nowhere/etcd" in said
    assert "haproxy: there is no program /nowhere/haproxy" in said
    assert "platform.binaries.etcd in the stack file names /nowhere/etcd" in said
    assert nothing_was_made(stack)


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [
        ("postgresql", "postgres (PostgreSQL) 12.4", r"postgresql 12\.4, and 13 is the oldest"),
        ("patroni", "patroni 3.0.2", r"Patroni 3\.0\.2 is too old, 4\.0 or newer"),
        ("etcd", "", "does not tell its version, or cannot run"),
    ],
)
def test_programs_that_are_too_old_are_refused(
    stack: Stack, name: str, answer: str, words: str
) -> None:
    stack.folder.chmod(0o755)
    file = {"postgresql": "postgres"}.get(name, name)
    place = program(stack.folder / "old" / file, answer)
    given = str(place.parent if name == "postgresql" else place)
    stack.write(SMALL, platform={"kind": "local", "binaries": {name: given}})
    assert re.search(words, refused(stack, "up", "--yes"))
    assert nothing_was_made(stack)


def test_a_version_that_is_not_installed_is_refused(stack: Stack) -> None:
    stack.write(**standalone(version="99"))
    assert "wants PostgreSQL 99, but there is " in refused(stack, "plan")


# -- addresses


def test_an_address_that_is_taken_is_left_out_and_one_taken_later_is_told(stack: Stack) -> None:
    net = own_net()
    stack.write(platform={"kind": "local", "network": f"{net}.0/28"}, **standalone())
    with listener(f"{net}.1", 2379):
        stack.up()
    address = stack.json("output", str(stack.file))["db.ip"]
    assert address == f"{net}.2"
    stack.run("stop", str(stack.file), "--yes")
    with listener(address, 5432) as holder:
        for words in (["plan"], ["up", "--yes"], ["start"]):
            said = refused(stack, *words)
            assert f"{address}:5432 is taken by" in said
            assert holder in said
    stack.up()
    assert stack.status()["whole"]


def test_a_remembered_address_is_chosen_anew_while_nothing_was_made(stack: Stack) -> None:
    net = own_net()
    stack.write(platform={"kind": "local", "network": f"{net}.0/28"}, **standalone())
    with listener(f"{net}.1", 8404):
        first = f"{net}.2"
        process = stack.start("up", str(stack.file), "--yes", command=STOPS_BEFORE_ITS_FIRST_STEP)
        process.communicate(timeout=60)
        assert process.returncode == 77
    with listener(first, 5432):
        stack.up()
    assert stack.json("output", str(stack.file))["db.ip"] == f"{net}.1"


STOPS_BEFORE_ITS_FIRST_STEP = (
    COMMAND[0],
    "-c",
    """import os
from pgstead.cli import main
from pgstead.engine import apply
apply._phases = lambda *_: os._exit(77)
main()""",
)
"""Materials, and addresses with them, are saved by then."""


WILDCARD = """import socket, sys, time
with socket.create_server(("0.0.0.0", 5432)):
    print("there", flush=True)
    time.sleep(1000)"""


@pytest.fixture
def network() -> Iterator[tuple[str, ...]]:
    """A command's beginning that has it see a network where every address has a listener.

    A network of its own, since nobody else could use that port meanwhile.
    """
    words = ["sh", "-c", 'ip link set lo up && exec "$@"', "sh", COMMAND[0], "-c", WILDCARD]
    with holding(["unshare", "--net", *words]) as pid:
        yield ("nsenter", "--net", f"--target={pid}")


@contextmanager
def holding(words: list[str]) -> Iterator[int]:
    """A process that holds a namespace, which is made by the time it says so."""
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        pytest.skip("there are no tools for namespaces")
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        try:
            if holder.stdout.readline() != "there\n":
                pytest.skip("this user may not make namespaces, or what they hold")
            yield holder.pid
        finally:
            holder.kill()


def test_a_wildcard_listener_is_named(own_folder: Path, network: tuple[str, ...]) -> None:
    with stack_in(own_folder, "t-errors", prefix=network) as stack:
        stack.write(**standalone())
        said = refused(stack, "plan")
    pid = network[-1].partition("=")[2]
    assert re.search(rf"port 5432 is taken on every address by \w+.* \(process {pid}\)", said)
    assert "have it listen on an address of its own" in said


# -- a server that cannot start, and a disk that is full


def test_a_server_that_dies_is_told_of_with_its_last_words(stack: Stack) -> None:
    stack.write(**standalone(postgres_params="-c 'work_mem=lots'"))
    said = refused(stack, "up", "--yes")
    assert "machine.db: " in said
    assert "died while it started" in said
    assert 'invalid value for parameter "work_mem": "lots"' in said
    assert f"the whole log is in /var/lib/pgstead/{stack.name}-" in said
    stack.write(**standalone())
    stack.up()
    assert stack.status()["whole"]


@pytest.fixture
def namespace(own_folder: Path) -> Iterator[tuple[str, ...]]:
    """A command's beginning that has it see a small disk at `own_folder`/disk."""
    disk = own_folder / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=24m,mode=755 tmpfs {disk} && echo there && exec sleep 1000"
    with holding(["unshare", "--mount", "sh", "-c", mount]) as pid:
        yield ("nsenter", "--mount", f"--target={pid}")


def test_a_full_disk_is_told_and_room_is_enough_to_go_on(
    own_folder: Path, namespace: tuple[str, ...]
) -> None:
    own_folder.chmod(0o755)
    with stack_in(own_folder, "t-errors", prefix=namespace) as stack:
        platform = {"kind": "local", "folder": str(own_folder / "disk")}
        stack.write(platform=platform, **standalone())
        said = refused(stack, "up", "--yes")
        assert "No space left on device" in said
        grow = ["mount", "-o", "remount,size=200m", str(own_folder / "disk")]
        subprocess.run([*namespace, *grow], check=True)
        stack.up()
        assert stack.status()["whole"]


# -- the stack file and the arguments


def test_a_file_of_another_version_is_refused(stack: Stack) -> None:
    stack.write(SMALL, version=2)
    said = refused(stack, "up", "--yes", code=2)
    assert "stack.yaml:3" in said or "stack.yaml:" in said
    assert "the file has format 2, and this pgstead knows format 1 only" in said


def test_all_mistakes_of_a_cluster_are_told_at_once(stack: Stack) -> None:
    stack.write({"postgres": {"members": "many"}, "etcd": {"membres": 3}})
    said = stack.run("validate", str(stack.file), code=2).stderr
    assert re.search(r"stack\.yaml:\d+: cluster\.postgres\.members: ", said)
    assert re.search(r"stack\.yaml:\d+: cluster\.etcd\.membres: .*members", said)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["up", "--yse"], "No such option: --yse"),
        (["logs"], "Missing argument|Missing parameter"),
        (["plan", "nowhere.yaml"], "nowhere.yaml: there is no such file"),
        (["plan", "--format", "xml"], "xml"),
    ],
)
def test_bad_arguments_end_with_two(stack: Stack, words: list[str], message: str) -> None:
    said = stack.run(*words, code=2).stderr
    assert re.search(message, said)
    assert said.startswith("error: ")
    assert "hint: " in said


def test_a_stack_that_is_not_up_says_so(stack: Stack) -> None:
    stack.write(**standalone())
    commands = [["status"], ["logs", "db"], ["stop"], ["start"], ["switchover"], ["dsn"]]
    for words in [*commands, ["psql"], ["output"], ["state", "rekey"]]:
        first = words[:2] if words[0] == "state" else words[:1]
        said = stack.run(*first, str(stack.file), *words[len(first) :], code=1).stderr
        assert f"error: the stack {stack.name} is not up" in said, words
        assert f"hint: pgstead up {stack.file}" in said


def test_nobody_to_ask_names_the_flag(stack: Stack) -> None:
    stack.write(**standalone())
    said = refused(stack, "up", code=2)
    assert "nobody to ask: Apply this plan?" in said
    assert "give --yes" in said
    assert nothing_was_made(stack)


# -- the terminal


def on_a_terminal(stack: Stack, answer: bytes) -> tuple[int, str]:
    """What `up` ends with and says where it is asked, and answered, on a terminal."""
    main, other = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "up", str(stack.file)],
        stdin=other,
        stdout=other,
        stderr=other,
        env={**os.environ, "HOME": str(stack.folder / "home"), "TERM": "xterm"},
        start_new_session=True,
    ) as process:
        os.close(other)
        said = read_until(main, b"goes on: ")
        if answer == b"\x03":
            process.send_signal(signal.SIGINT)
        else:
            os.write(main, answer)
        said += read_until(main, None)
        os.close(main)
    return process.returncode, said


def read_until(terminal: int, end: bytes | None) -> str:
    said, deadline = b"", time.monotonic() + 60
    while end is None or end not in said:
        assert time.monotonic() < deadline, said
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                said += os.read(terminal, 65536)
            except OSError:  # the other side is closed
                break
    return said.decode()


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (b"\x03", 130, "stopped"),
        (b"no\r", 0, "Nothing was changed."),
        (b"\x04", 0, "Nothing was changed."),
    ],
    ids=["ctrl-c", "no", "ctrl-d"],
)
def test_at_the_question(stack: Stack, answer: bytes, code: int, words: str) -> None:
    stack.write(**standalone())
    ended, said = on_a_terminal(stack, answer)
    assert (ended, words in said) == (code, True), said
    assert "Traceback" not in said
    assert nothing_was_made(stack)


# -- the state and its key


def test_a_lost_key_and_a_wrong_key_overwrite_nothing(stack: Stack) -> None:
    stack.write(platform={"kind": "memory"}, **standalone())
    stack.up()
    (key,) = (stack.folder / "home").rglob("*.key")
    right = key.read_text()
    key.unlink()
    said = refused(stack, "plan")
    assert f"the key of the materials is missing: {key}" in said
    key.write_text(right[:-4].swapcase() + right[-4:])
    key.chmod(0o600)
    assert f"the key in {key} is not the one" in refused(stack, "up", "--yes")
    key.chmod(0o644)
    assert "others may read the key file" in refused(stack, "plan")
    key.write_text(right)
    key.chmod(0o600)
    assert stack.plan() == {}


def test_debug_keeps_the_traceback_in_a_file_of_the_users_alone(stack: Stack) -> None:
    stack.write(**standalone(version="99"))
    said = stack.run("--debug", "plan", str(stack.file), code=1).stderr
    (log,) = stack.folder.glob("pgstead-debug-*.log")
    assert str(log) in said
    assert "Traceback (most recent call last)" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600


def test_the_doctor_lists_what_lacks_and_ends_with_one(stack: Stack) -> None:
    environment = {"PATH": "/nowhere"}
    lone = Stack(stack.folder, stack.name, environment=environment)
    found = {one["name"]: one for one in lone.json("doctor", code=1)}
    assert not found["flock"]["ok"]
    assert found["etcd"]["ok"] == Path("/usr/bin/etcd").exists()
    text = lone.run("doctor", code=1).stdout
    assert "flock: apt-get install util-linux" in text
    assert psutil.Process().is_running()
    assert json.dumps(found)
