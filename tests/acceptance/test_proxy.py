"""The load balancer: where sessions are led, and when they are cut."""

import copy
import os
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from pgstead.clients.patroni import PatroniClient
from support.members import eventually, mains, members, processes
from support.stack import SMALL, Stack, stack_in

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("proxy")]

CUT_SECONDS = 15.0
"""A frozen server is down after three checks that time out, of 2 s each."""


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    with stack_in(folder, "t-proxy") as made:
        made.write(SMALL)
        made.up()
        yield made


def test_each_endpoint_has_its_servers(stack: Stack) -> None:
    leader = stack.leader()
    standby = next(name for name in stack.roles() if name != leader)
    found = members(stack)
    eventually(lambda: found.up("primary") == {leader} and found.up("read_only") == {standby})
    assert found.up("api") == {leader}


def test_the_api_endpoint_reaches_the_primarys(stack: Stack) -> None:
    balancer = members(stack).balancer
    assert balancer.api_port is not None
    client = PatroniClient(balancer.address, balancer.api_port, balancer.operator)
    assert client.leads()
    leader = client.cluster().leader
    assert leader is not None
    assert leader.name == stack.leader()


def first_byte(place: tuple[str, int], context: ssl.SSLContext) -> bytes:
    """What a server answers; with TLS 1.3 it refuses a client only now."""
    with (
        socket.create_connection(place, timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=place[0]) as tls,
    ):
        tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return tls.recv(1)


def test_statistics_want_a_client_certificate(stack: Stack) -> None:
    balancer = members(stack).balancer
    context = ssl.create_default_context(cadata=balancer.operator.ca)
    place = (balancer.address, balancer.statistics_port or 0)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        first_byte(place, context)
    assert members(stack).proxy.servers()


def test_sessions_survive_reloads(stack: Stack) -> None:
    cluster = copy.deepcopy(SMALL)
    cluster["timings"] = {"idle": "20h"}
    with psycopg.connect(stack.dsn(), autocommit=True) as session:
        session.execute("CREATE TABLE IF NOT EXISTS here (id int)")
        session.execute("BEGIN")
        session.execute("INSERT INTO here VALUES (1)")
        stack.write(cluster)
        assert set(stack.plan()) == {"machine.load-balancer-1"}
        stack.up()
        session.execute("COMMIT")


def test_the_read_only_endpoint_without_standbys(stack: Stack) -> None:
    """Their Patroni hangs, so that no check passes; then sessions go nowhere, or where told."""
    leader = stack.leader()
    standby = next(name for name in stack.roles() if name != leader)
    falling = copy.deepcopy(SMALL)
    falling["load_balancer"]["read_only"] = {"fallback": "primary"}
    found = members(stack)
    with frozen(stack, standby, only="patroni"):
        eventually(lambda: found.up("read_only") == set())
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(stack.dsn("--role", "replica"), connect_timeout=5)
        stack.write(falling)
        former = workers(stack)
        stack.up()
        eventually(lambda: not former & workers(stack))  # until then they may answer
        eventually(lambda: found.up("read_only") == set() and found.up("primary") == {leader})
        with psycopg.connect(stack.dsn("--role", "replica")) as session:
            assert session.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)
    eventually(lambda: found.up("read_only") == {standby}, 60)
    with psycopg.connect(stack.dsn("--role", "replica")) as session:
        assert session.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)


def workers(stack: Stack) -> set[int]:
    """HAProxy's: a reload makes a new one, which takes over a moment later."""
    return set(processes(stack, "load-balancer-1")) - mains(stack, "load-balancer-1", "haproxy")


def everything(stack: Stack, machine: str) -> dict[int, str]:
    """The names of a machine's processes and of PostgreSQL's children; what ends is left out."""
    names: dict[int, str] = {}
    for one in processes(stack, machine).values():
        with suppress(psutil.NoSuchProcess):
            for each in (one, *one.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    names[each.pid] = each.name()
    return names


@contextmanager
def frozen(stack: Stack, machine: str, *, only: str = "") -> Iterator[None]:
    """Every process of a machine stopped: the kernel still answers for it, nobody else does."""
    found = [pid for pid, name in everything(stack, machine).items() if only in ("", name)]
    assert found
    tell(found, signal.SIGSTOP)
    try:
        yield
    finally:
        tell(found, signal.SIGCONT)


def tell(pids: list[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # it ended meanwhile
            os.kill(pid, number)


def seconds_to_an_error(session: psycopg.Connection[tuple[object, ...]]) -> float:
    """How long statements go on: a server's process may outlive its postmaster for a moment."""
    began = time.monotonic()
    with suppress(psycopg.OperationalError):
        while time.monotonic() - began < CUT_SECONDS:
            session.execute("SELECT pg_sleep(0.05)")
    return time.monotonic() - began


def test_a_session_is_cut_when_its_server_is_frozen(stack: Stack) -> None:
    leader = stack.leader()
    with psycopg.connect(stack.dsn(), autocommit=True) as session:
        session.execute("SELECT 1")
        with frozen(stack, leader):
            assert seconds_to_an_error(session) < CUT_SECONDS
    stack.becomes_whole()


def test_a_session_is_cut_when_its_server_is_killed(stack: Stack) -> None:
    leader = stack.leader()
    with psycopg.connect(stack.dsn(), autocommit=True) as session:
        session.execute("SELECT 1")
        for pid in mains(stack, leader, "postgres"):
            os.kill(pid, signal.SIGKILL)
        assert seconds_to_an_error(session) < 3
    stack.becomes_whole()
    with psycopg.connect(stack.dsn()) as session:
        session.execute("SELECT 1")
