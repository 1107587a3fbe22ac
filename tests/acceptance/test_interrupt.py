"""Ctrl-C, SIGTERM, a second `up`, and a step that fails: what is left is resumed."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from support.stack import SMALL, Stack, stack_in

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("interrupt")]

STUBBORN = (sys.executable, str(Path(__file__).parents[1] / "support/stubborn.py"))
AGAIN = "run the same command again to go on where it stopped"


@pytest.fixture
def rehearsed(own_folder: Path) -> Stack:
    """A stack that runs nowhere."""
    stack = Stack(own_folder, "c-rehearsed")
    stack.write(SMALL)
    stack.file.write_text(stack.file.read_text().replace("local", "memory"))
    return stack


@pytest.fixture(scope="module")
def small() -> Iterator[Stack]:
    with (
        TemporaryDirectory(prefix="pgstead-") as folder,
        stack_in(Path(folder), "c-interrupt") as stack,
    ):
        stack.write(SMALL)
        yield stack


def until(process: subprocess.Popen[str], text: str) -> str:
    """What it says up to the first line that holds `text`."""
    said = ""
    assert process.stderr
    for line in process.stderr:
        said += line
        if text in line:
            return said
    raise AssertionError(said)


def latest(stack: Stack) -> str:
    """How the last command ended, as the history has it."""
    return str(stack.json("history", str(stack.file))[0]["outcome"])


def ended(process: subprocess.Popen[str], within: float) -> tuple[int, str]:
    """Exit code and the rest of what it says."""
    began = time.monotonic()
    _, said = process.communicate(timeout=60)
    assert time.monotonic() - began < within, said
    assert "Traceback" not in said, said
    return process.returncode, said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_it_at_once(rehearsed: Stack, number: signal.Signals) -> None:
    process = rehearsed.start("up", str(rehearsed.file), "--yes", command=STUBBORN)
    until(process, "machine.etcd-1: ")
    process.send_signal(number)
    until(process, "Ctrl-C again stops at once")
    assert process.poll() is None
    process.send_signal(number)
    code, said = ended(process, within=10)
    assert (code, said.splitlines()[-1]) == (130, "stopped at once")
    assert latest(rehearsed) == "interrupted"
    assert len(rehearsed.up()["changed"]) == 7
    assert rehearsed.plan() == {}


def test_a_second_up_is_refused_while_one_runs(rehearsed: Stack) -> None:
    first = rehearsed.start("up", str(rehearsed.file), "--yes", command=STUBBORN)
    until(first, "machine.etcd-1: ")
    refused = rehearsed.run("up", str(rehearsed.file), "--yes", code=1)
    assert f"another command works on stack 'c-rehearsed': `up` (pid {first.pid}, " in " ".join(
        refused.stderr.split()
    )
    assert ", since 20" in refused.stderr
    first.kill()
    first.communicate()
    rehearsed.up()


def test_ctrl_c_while_it_plans(rehearsed: Stack) -> None:
    command = (sys.executable, "-c", WAITING)
    process = rehearsed.start("up", str(rehearsed.file), command=command)
    until(process, "ready")
    process.send_signal(signal.SIGINT)
    assert ended(process, within=10) == (130, "error: stopped\nhint: " + RERUN + "\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("stop", "--yes"),
            "interrupted: of etcd-1, postgres-1, postgres-2, load-balancer-1, some",
        ),
        (("start",), "interrupted: of etcd-1, postgres-1, postgres-2, load-balancer-1, some"),
        (("switchover", "--yes"), "interrupted: Patroni may still hand over from a to b"),
    ],
)
def test_ctrl_c_while_machines_stop_start_or_switch(
    rehearsed: Stack, words: tuple[str, ...], told: str
) -> None:
    rehearsed.up()
    process = rehearsed.start(
        words[0], str(rehearsed.file), *words[1:], command=(sys.executable, "-c", HANGING)
    )
    until(process, "ready")
    process.send_signal(signal.SIGINT)
    code, said = ended(process, within=10)
    assert code == 130
    first, error, hint = said.splitlines()
    assert first == "stopping; Ctrl-C again stops at once"
    assert error.startswith(f"error: {told}")
    assert hint.startswith("hint: ")
    assert "`pgstead status" in hint


HANGING = """
import sys
from pgstead.cli import main
from pgstead.clients.patroni import ClusterMember, ClusterView
from pgstead.operations import power, switchover
from pgstead.waiting import wait
def hang(*_):
    print("ready", file=sys.stderr, flush=True)
    wait(lambda: None, deadline=60, what="what never comes")
power._in_order = switchover._switch = hang
members = ClusterMember("a", "leader", "running"), ClusterMember("b", "replica", "streaming")
switchover.view_of = lambda _: ClusterView("s", members)
main()
"""
RERUN = "run the same command again to go on"
WAITING = """
import sys, time
from pgstead.cli import main
from pgstead.operations import plan
def make(*_, **__):
    print("ready", file=sys.stderr, flush=True)
    time.sleep(60)
plan.make = make
main()
"""


def test_an_interrupted_up_goes_on_where_it_stopped(small: Stack) -> None:
    for number, place in (
        (signal.SIGINT, "machine.etcd-1: wait until"),
        (signal.SIGTERM, "machine.postgres-1: wait until"),
        (signal.SIGINT, f"patroni.{small.name}: wait until"),
    ):
        process = small.start("up", str(small.file), "--yes")
        until(process, place)
        process.send_signal(number)
        code, said = ended(process, within=30)  # a step that runs, like a sync, runs to its end
        assert code == 130
        assert "error: stopped; what was done is recorded" in said
        assert f"hint: {AGAIN}" in said
        assert latest(small) == "interrupted"
    small.up()
    assert small.plan() == {}
    small.becomes_whole()


def test_a_step_that_fails_is_named_and_a_rerun_goes_on(small: Stack) -> None:
    small.up()
    in_the_way = small.machine("load-balancer-1") / "etc/haproxy/.haproxy.cfg.new"
    in_the_way.mkdir()
    small.write({**SMALL, "load_balancer": {"members": 1, "max_connections": 500}})
    failed = small.run("up", str(small.file), "--yes", code=1)
    told = failed.stderr.partition("error: ")[2]
    assert told.startswith("machine.load-balancer-1: ")
    assert "haproxy.cfg.new: Is a directory" in told
    assert latest(small) == "failed"
    in_the_way.rmdir()
    assert small.up()["changed"] == ["machine.load-balancer-1"]
    assert small.plan() == {}
    small.becomes_whole()  # HAProxy that was reloaded takes all for up until it has asked


def test_no_password_is_lost_when_it_changes_twice_and_the_first_time_is_cut_off(
    small: Stack,
) -> None:
    """Neither the file nor what was applied last tells the password that the servers have."""
    small.write(SMALL)
    small.up()
    for number, place in enumerate((f"etcd.{small.name}: done", f"postgres.{small.name}: done")):
        small.write(SMALL, passwords=passwords(f"cut-off-{number}"))
        process = small.start("up", str(small.file), "--yes")
        until(process, place)
        process.kill()
        process.communicate()
    small.write(SMALL, passwords=passwords("final"))
    small.up()
    assert small.plan() == {}
    small.becomes_whole()  # members take up new passwords in rounds of their own
    assert "final-application-secret" in small.dsn("--with-password")
    with psycopg.connect(small.dsn("--with-password")) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def passwords(which: str) -> dict[str, dict[str, str]]:
    names = ("superuser", "replication", "rewind", "application", "etcd-root", "etcd-patroni")
    return {name: {"value": f"{which}-{name}-secret"} for name in names}
