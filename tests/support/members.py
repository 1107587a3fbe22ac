"""Looking at a stack's servers beside the command line: as pgstead's own clients see them."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from unittest.mock import patch

import psutil
import psycopg
from cryptography import x509

from pgstead.clients.etcd import EtcdClient
from pgstead.clients.haproxy import HaproxyClient
from pgstead.clients.patroni import PatroniClient
from pgstead.clusters.groups import Groups, api, group
from pgstead.membership import LoadBalancer, PatroniMember
from pgstead.operations.session import Session, open_session
from support.stack import Stack

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
"""What a PostgreSQL client says before TLS (PostgreSQL's documentation, "Message Formats")."""


@dataclass(frozen=True)
class Members:
    """The clients of all of a stack's members, by machine."""

    groups: Groups

    @property
    def postgres(self) -> dict[str, PatroniMember]:
        return {n: m for scope in self.groups.patroni.values() for n, m in scope.members.items()}

    def api(self, machine: str) -> PatroniClient:
        return api(self.postgres[machine])

    @property
    def etcd(self) -> EtcdClient:
        """As root."""
        return next(iter(self.groups.etcd.values())).client()

    @property
    def balancer(self) -> LoadBalancer:
        found = (m.membership for m in self.groups.machines.values())
        return next(m for m in found if isinstance(m, LoadBalancer))

    @property
    def proxy(self) -> HaproxyClient:
        member = self.balancer
        return HaproxyClient(member.address, member.statistics_port or 0, member.operator)

    def up(self, proxy: str) -> set[str]:
        """The servers that a proxy leads sessions to."""
        return {s.name for s in self.proxy.servers() if s.proxy == proxy and s.up}

    @contextmanager
    def connection(self, machine: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
        """A member's own server, as superuser."""
        member = self.postgres[machine]
        role = member.access.superuser
        with psycopg.connect(
            host=member.address,
            port=member.port,
            user=role.name,
            password=role.password,
            dbname="postgres",
            sslmode="require",
            autocommit=True,
        ) as connection:
            yield connection

    def one(self, machine: str, sql: str) -> object:
        """The one value that a statement gives on a member."""
        with self.connection(machine) as connection:
            row = connection.execute(sql.encode()).fetchone()
        assert row is not None
        return row[0]

    def execute(self, machine: str, sql: str) -> None:
        """Run a statement on a member."""
        with self.connection(machine) as connection:
            connection.execute(sql.encode())

    def setting(self, machine: str, name: str) -> object:
        return self.one(machine, f"SHOW {name}")

    def started(self) -> dict[str, datetime]:
        """When each member's PostgreSQL was started."""
        found = {n: self.one(n, "SELECT pg_postmaster_start_time()") for n in self.postgres}
        return {n: at for n, at in found.items() if isinstance(at, datetime)}


@contextmanager
def session_of(stack: Stack) -> Iterator[Session]:
    """The stack as a command sees it."""
    with (
        patch.dict(os.environ, {"HOME": str(stack.folder / "home")}),
        open_session(stack.file) as session,
    ):
        yield session


def members(stack: Stack) -> Members:
    """The members as the stack file has them now."""
    with session_of(stack) as session:
        return Members(group(session.machines))


def serial(host: str, port: int) -> int:
    """The serial number of the certificate that a server shows."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((host, port), timeout=5) as plain:
        if port == 5432:
            plain.sendall(SSL_REQUEST)
            assert plain.recv(1) == b"S"
        with context.wrap_socket(plain) as tls:
            shown = tls.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown).serial_number


def serials(stack: Stack) -> dict[str, int]:
    found = members(stack)
    places = [(m.address, port) for m in found.postgres.values() for port in (5432, 4443)]
    etcd = next(iter(found.groups.etcd.values()))
    places += [(m.address, 2379) for m in etcd.members.values()]
    places += [(found.balancer.address, found.balancer.statistics_port or 0)]
    return {f"{host}:{port}": serial(host, port) for host, port in places}


def processes(stack: Stack, machine: str) -> dict[int, psutil.Process]:
    """A machine's processes by pid, but for PostgreSQL's children, which hide what they are."""
    mark = f"{stack.root.name.rpartition('-')[2]}/{machine}"
    found: dict[int, psutil.Process] = {}
    psutil.process_iter.cache_clear()  # it may know another process by an id that is used again
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("PGSTEAD_MACHINE") == mark:
                found[process.pid] = process
    return found


def mains(stack: Stack, machine: str, name: str) -> set[int]:
    """The pids of a machine's processes of that name, but for children of the same name."""
    parents: dict[int, int] = {}
    for pid, process in processes(stack, machine).items():
        with suppress(psutil.NoSuchProcess):  # it ended meanwhile
            if process.name() == name:
                parents[pid] = process.ppid()
    return {pid for pid, parent in parents.items() if parent not in parents}


def kill(stack: Stack, machine: str) -> None:
    """End every process of a machine at once."""
    found = processes(stack, machine)
    for pid in found:
        with suppress(ProcessLookupError):  # it ended meanwhile
            os.kill(pid, signal.SIGKILL)
    psutil.wait_procs(list(found.values()), timeout=10)


def eventually(true: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for what must become true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        threading.Event().wait(0.1)
