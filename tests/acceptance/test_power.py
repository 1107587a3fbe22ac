"""What stops, dies and comes back: by the user's will, by accident, and with the machine."""

import select
import shutil
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil
import psycopg
import pytest

from pgstead.errors import Refused
from pgstead.operations.session import Session, open_session
from pgstead.waiting import wait
from support.ledger import writing
from support.stack import SMALL, Stack, stack_in

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("power"), pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    with stack_in(folder, "t-power") as made:
        made.write(SMALL)
        made.up()
        with psycopg.connect(made.dsn()) as connection:
            connection.execute("CREATE TABLE kept (id int)")
            connection.execute("INSERT INTO kept VALUES (42)")
        yield made


@pytest.fixture
def session(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setenv("HOME", str(stack.folder / "home"))
    with open_session(stack.file) as opened:
        yield opened


def row(stack: Stack) -> int:
    with psycopg.connect(stack.dsn()) as connection:
        (found,) = connection.execute("SELECT id FROM kept").fetchall()
        return int(found[0])


def words(stack: Stack, command: str, *, code: int | None = None) -> str:
    return stack.run(command, str(stack.file), code=code).stdout


def servers(stack: Stack) -> dict[int, str]:
    """The servers' processes by id, without the supervisor and what it looks after logs with."""
    found = {}
    for process in stack.processes():
        with suppress(psutil.NoSuchProcess):  # a backend's life may be short
            found[process.pid] = process.name()
    return {pid: name for pid, name in found.items() if name in ("etcd", "haproxy", "patroni")}


def inside(stack: Stack, machine: str) -> list[psutil.Process]:
    """What lives in a machine's folder."""
    found = []
    for process in stack.processes():
        with suppress(psutil.Error):  # as above
            if f"/machines/{machine}" in process.cwd():
                found.append(process)
    return found


def kill_supervisor(stack: Stack) -> None:
    pid = int((stack.root / "supervisor/supervisord.pid").read_text())
    process = psutil.Process(pid)
    process.kill()
    process.wait(10)


def listeners(stack: Stack) -> int:
    """How many sockets listen on the load balancer's address and port."""
    address = stack.json("output", str(stack.file))["load-balancer-1.endpoint"]
    host, _, port = address.partition(":")
    return sum(
        one.status == psutil.CONN_LISTEN and one.laddr == (host, int(port))
        for one in psutil.net_connections("tcp4")
    )


def test_a_dead_supervisor_takes_no_server_with_it(stack: Stack) -> None:
    before, sockets = servers(stack), listeners(stack)
    with writing(stack.dsn()) as ledger:
        kill_supervisor(stack)
        sent = len(ledger.acknowledged)
        wait(lambda: len(ledger.acknowledged) > sent + 40, deadline=30, what="more rows")
        assert ledger.errors == []
        assert servers(stack) == before
        status = words(stack, "status", code=1)
        assert "! its supervisor is gone: what dies is not started again; `pgstead up" in status
        plan = words(stack, "plan")
        assert "etcd runs outside its supervisor" in plan
        assert "patroni is taken over by its supervisor" in plan
        leader = stack.leader()
        done = stack.run("up", str(stack.file), "--yes").stderr
        assert all(f"machine.{name}: take over patroni" in done for name in stack.roles())
        assert "switch over" not in done
    assert stack.leader() == leader
    assert stack.status()["whole"]
    assert stack.plan() == {}
    assert listeners(stack) == sockets
    assert not before.keys() & servers(stack).keys()


def test_one_machine_is_stopped_and_started(stack: Stack) -> None:
    machine = next(name for name, role in stack.roles().items() if role != "leader")
    stack.run("stop", str(stack.file), machine, "--yes")
    states = {one["machine"]: one["state"] for one in stack.status()["members"]}
    assert states[machine] == "stopped"
    assert "patroni does not run: started" in words(stack, "plan")
    assert row(stack) == 42
    stack.run("start", str(stack.file), machine)
    assert stack.status()["whole"]


def test_a_stack_that_is_stopped_says_so_and_comes_back_with_its_data(stack: Stack) -> None:
    file = str(stack.file)
    stack.run("stop", file, "--yes")
    assert servers(stack) == {}
    assert "the stack is stopped: `pgstead start" in words(stack, "status", code=1)
    assert "does not run: started" in words(stack, "plan", code=0)
    refused = stack.run("switchover", file, "--yes", code=1).stderr
    assert "no Patroni member answers" in refused
    assert stack.run("logs", file, "etcd-1", "-n", "1").stdout
    assert stack.run("stop", file, "--yes").stdout  # a second one has nothing to do
    stack.run("start", file)
    assert stack.status()["whole"]
    assert row(stack) == 42
    assert stack.plan() == {}


def test_a_leader_whose_power_goes_is_replaced_and_comes_back_as_a_standby(
    stack: Stack, session: Session
) -> None:
    leader = stack.leader()
    platform = session.platform
    with pytest.raises(Refused, match="not at boot 1:1 any more"):
        platform.power_off(leader, "1:1")
    platform.power_off(leader, platform.power(leader).boot)
    assert not platform.power(leader).on
    assert not inside(stack, leader)
    wait(lambda: stack.roles().get(leader) != "leader", deadline=5, what="the news")

    def another() -> bool:
        return "leader" in [role for name, role in stack.roles().items() if name != leader]

    wait(another, deadline=60, what="another leader", interval=(0.2, 0.5))

    def served() -> bool:
        with suppress(psycopg.OperationalError):  # it promotes, and HAProxy has to see it
            return row(stack) == 42
        return False

    wait(served, deadline=30, what="the row from the new leader")
    stack.up()
    # If the sentinel has started the machine already, there was nothing left for `up` to wait for.
    stack.becomes_whole()
    assert stack.roles()[leader] != "leader"


def killed(stack: Stack) -> list[psutil.Process]:
    """Kill what lives of it; gives what did."""
    found = stack.processes()
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return found


def test_after_a_reboot_up_brings_all_back_with_its_data(stack: Stack, session: Session) -> None:
    wait(lambda: not killed(stack), deadline=20, what="everything to be gone")
    for machine in session.machines:  # what lies in /run and in /tmp is gone after a boot
        shutil.rmtree(session.platform.reach(machine.name).place("/run"))  # type: ignore[attr-defined]
    (stack.root / "supervisor/supervisord.pid").write_text("1")
    assert not stack.status()["whole"]
    stack.up()
    assert stack.status()["whole"]
    assert row(stack) == 42


def test_logs_are_followed_and_kept_short(stack: Stack) -> None:
    file, log = str(stack.file), stack.machine("etcd-1") / "log/etcd.log"
    follower = stack.start("logs", file, "etcd-1", "-f", "-n", "0")
    told = follower.stdout
    assert told
    # What was there before it came to the end of the log is none of its business.
    wait(lambda: _said(log, "before\n") and _heard(told), deadline=30, what="it")
    _said(log, "before\n")
    _said(log, "x" * 1023 + "\n", 11 * 1024)
    wait(lambda: log.stat().st_size < 1024**2, deadline=20, what="the rotation")
    assert log.with_name("etcd.log.1").stat().st_size > 10 * 1024**2
    _said(log, "after\n")
    seen = iter(told)
    assert next(line for line in seen if line == "before\n")
    assert next(line for line in seen if line == "after\n")
    follower.send_signal(signal.SIGINT)
    _, errors = follower.communicate(timeout=10)
    assert (follower.returncode, errors) == (0, "")
    assert list(servers(stack).values()).count("etcd") == 1


def _said(log: Path, text: str, times: int = 1) -> bool:
    with log.open("a") as file:
        file.write(text * times)
    return True


def _heard(told: IO[str]) -> bool:
    """Whether there is anything to read, without reading it."""
    return bool(select.select([told], [], [], 0)[0])


def test_names_that_do_not_exist_are_told_with_those_that_do(stack: Stack) -> None:
    file = str(stack.file)
    for command in (["logs"], ["start"], ["stop", "--yes"]):
        said = stack.run(command[0], file, "etcd-9", *command[1:], code=2).stderr
        assert "no machine etcd-9" in said
        assert "it has etcd-1, postgres-1" in said
    said = stack.run("logs", file, "etcd-1", "nothing", code=2).stderr
    assert "etcd-1 has no service nothing" in said
    assert "it has etcd" in said
    said = stack.run("switchover", file, "--to", "postgres-9", "--yes", code=2).stderr
    assert "there is no member postgres-9" in said
