"""What the modules render is taken by the programs that it is for."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo

from pgstead.engine.materials import StoredMaterials
from pgstead.machine import Machine, Service, replace_tokens
from pgstead.membership import EtcdMember, LoadBalancer, StandaloneServer
from pgstead.modules.base import Context, Facts
from pgstead.modules.build import build
from pgstead.platforms.local import processes
from pgstead.run import run
from pgstead.spec import loads
from pgstead.waiting import wait

pytestmark = pytest.mark.real

# An own network for each process, so that tests side by side do not meet.
NETWORK = f"127.{100 + os.getpid() % 100}.{os.getpid() // 100 % 200}"
SECONDS = 30.0


class NoStore:
    def load(self) -> dict[str, bytes]:
        return {}

    def save(self, changed: Mapping[str, bytes], removed: object = ()) -> None:
        raise AssertionError("nothing is saved here")


def _build(text: str, folder: Path, platform: str = "local") -> dict[str, Machine]:
    def allocate(machines: object, taken: Mapping[str, str]) -> dict[str, str]:
        assert isinstance(machines, list)
        return {name: f"{NETWORK}.{number}" for number, name in enumerate(machines, len(taken) + 1)}

    stack = loads(text, folder=folder, environ={})
    materials = StoredMaterials(NoStore(), allocate=allocate)
    blueprint = build(stack, Context(Facts(platform), materials))
    return {machine.name: machine for machine in blueprint.machines}


@pytest.fixture
def ground() -> Iterator[Path]:
    """A short folder that an unprivileged user may enter (sockets have 107 bytes at most)."""
    folder = Path(tempfile.mkdtemp(prefix="pgs-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


class Laid:
    """A machine's folders and files below one folder, owned by the user that servers run as."""

    def __init__(self, machine: Machine, ground: Path) -> None:
        self.machine = machine
        self.folder = ground / machine.name
        self.user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.folder.mkdir()
        for directory in machine.software.directories:
            self.place(directory.path).mkdir(parents=True, mode=directory.mode, exist_ok=True)
        for file in machine.software.files:
            target = self.place(file.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(self.text(file.content))
            target.chmod(file.mode)
        if os.geteuid() == 0:
            for path in (self.folder, *self.folder.rglob("*")):
                shutil.chown(path, self.user, pwd.getpwnam(self.user).pw_gid)

    def place(self, path: str) -> Path:
        return self.folder / path.lstrip("/")

    def text(self, content: str) -> str:
        return replace_tokens(content, self._token)

    def argv(self, command: tuple[str, ...]) -> list[str]:
        return [self.text(word) for word in command]

    def set_up(self) -> None:
        for command in self.machine.software.setup:
            if not self.place(command.creates).exists():
                user = self.user if os.geteuid() == 0 else None
                run(self.argv(command.argv), user=user, cwd=self.folder)

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        (service,) = self.machine.software.services
        log = self.folder / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                self.argv(service.command),
                user=self.user if os.geteuid() == 0 else None,
                env={"PATH": "/usr/bin:/bin", **service.environment},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            self._wait_ready(service, process, log)
            yield process
        finally:
            process.send_signal(signal.Signals[f"SIG{service.stop_signal}"])
            process.wait(SECONDS)

    def _wait_ready(self, service: Service, process: subprocess.Popen[bytes], log: Path) -> None:
        probe = service.ready
        assert probe is not None
        address = self.machine.address, probe.port

        def accepts() -> bool:
            assert process.poll() is None, log.read_text()
            with closing(socket.socket()) as client:
                return client.connect_ex(address) == 0

        wait(accepts, deadline=SECONDS, what=f"{service.name} at {address}")

    def _token(self, kind: str, name: str) -> str:
        if kind == "path":
            return str(self.place(name))
        postgresql = _postgresql()
        if kind == "dir":
            return str(postgresql)
        inside = postgresql / name
        beside = Path(sys.executable).parent / name
        found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
        return str(next((one for one in (inside, beside) if one.exists()), found))


def _postgresql() -> Path:
    versions = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    found = sorted(versions, key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    postgres = shutil.which("postgres")
    assert postgres is not None, "PostgreSQL is not installed"
    return Path(postgres).parent


CLUSTER = """
name: parts
platform: {kind: local}
cluster:
  postgres: {members: 1}
  etcd: {members: 1}
  load_balancer: {members: 1, read_only: {enabled: true, fallback: primary}}
"""

BY_NAME = """
name: parts
platform: {kind: local}
certificate_authorities: {parts: {}}
modules:
  balancer:
    source: postgres-load-balancer
    name: balancer
    ca: parts
    haproxy:
      postgres_nodes_max_count: 3
      postgres_nameserver_ips: [127.0.0.53]
      postgres_domain: server.postgres.local
      read_only: {enabled: true, fallback: primary, maximum_lag: 16MB}
      statistics: {enabled: true}
"""

STANDALONE = """
name: parts
platform: {kind: local}
certificate_authorities: {parts: {}}
modules:
  server:
    source: postgres-server
    name: server
    ca: parts
    key_length: 2048
    certificate_validity_period: 24
    certificate_early_renewal: 1
    postgres_user: admin-1
    postgres_params: -c 'shared_buffers=16MB' -c work_mem=5MB --log-line-prefix="it's %m "
    domains: [postgres.local]
"""


def _checked(laid: Laid) -> str:
    found = run([*laid.argv(("@{bin:haproxy}", "-c", "-V", "-f")), laid.place(CFG)], check=False)
    assert found.code == 0, found.stderr
    return found.stdout + found.stderr


CFG = "/etc/haproxy/haproxy.cfg"


@pytest.mark.parametrize(("text", "name"), [(CLUSTER, "load-balancer-1"), (BY_NAME, "balancer")])
def test_haproxy_takes_its_configuration(text: str, name: str, ground: Path) -> None:
    laid = Laid(_build(text, ground)[name], ground)
    assert "warning" not in _checked(laid).lower()


def test_etcd_runs_with_its_file_and_patroni_finds_its_own_valid(ground: Path) -> None:
    machines = _build(CLUSTER, ground)
    etcd = Laid(machines["etcd-1"], ground)
    with etcd.running():
        _assert_healthy(machines["etcd-1"])
        patroni = Laid(machines["postgres-1"], ground)
        words = ("@{bin:patroni}", "--validate-config", "@{path:/etc/patroni}")
        found = run(patroni.argv(words), check=False)
        assert (found.code, found.stdout + found.stderr) == (0, "")


def _assert_healthy(machine: Machine) -> None:
    membership = machine.membership
    assert isinstance(membership, EtcdMember)

    def healthy() -> bool:
        request = b"GET /health HTTP/1.0\r\n\r\n"
        return b'"health":"true"' in _spoken(membership, 2379, request)

    wait(healthy, deadline=SECONDS, what="etcd's health")


def _spoken(member: EtcdMember | LoadBalancer, port: int, request: bytes) -> bytes:
    """An answer to a request over TLS, with the operator's certificate."""
    with ExitStack() as stack:
        context = _context(member.operator.ca, member.operator.certificate, member.operator.key)
        plain = stack.enter_context(
            closing(socket.create_connection((member.address, port), SECONDS))
        )
        secure = stack.enter_context(context.wrap_socket(plain, server_hostname=member.address))
        secure.sendall(request)
        return b"".join(iter(lambda: secure.recv(65536), b""))


def _context(ca: str, certificate: str, key: str, *, server: bool = False) -> ssl.SSLContext:
    purpose = ssl.Purpose.CLIENT_AUTH if server else ssl.Purpose.SERVER_AUTH
    context = ssl.create_default_context(purpose, cadata=ca)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(certificate + key)
        file.flush()
        context.load_cert_chain(file.name)
    if server:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _threaded(server: socket.socket, answer: Callable[[socket.socket], None]) -> threading.Thread:
    """Answer every connection, each in a thread, until the server's socket is shut down."""

    def accept() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    return thread


def _echo(client: socket.socket) -> None:
    with closing(client):
        while data := client.recv(1024):
            client.sendall(data)


@contextmanager
def _listening(address: str, port: int, answer: Callable[[socket.socket], None]) -> Iterator[None]:
    with closing(socket.create_server((address, port))) as server:
        thread = _threaded(server, answer)
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(SECONDS)


@contextmanager
def _primary(machine: Machine) -> Iterator[None]:
    """A stand-in for a member: echoes sessions, and answers that it is the primary."""
    files = {file.path.rpartition("/")[2]: file.content for file in machine.software.files}
    context = _context(files["ca.crt"], files["server.crt"], files["server.key"], server=True)

    def check(client: socket.socket) -> None:
        try:
            with closing(context.wrap_socket(client, server_side=True)) as secure:
                asked = secure.recv(1024).split()[1]
                status = b"200 OK" if asked == b"/primary" else b"503 No"
                secure.sendall(b"HTTP/1.0 " + status + b"\r\n\r\n")
        except OSError:
            pass  # HAProxy hangs up as soon as it has the status

    with (
        _listening(machine.address, 4443, check),
        _listening(machine.address, 5432, _echo),
    ):
        yield


def _echoes(session: socket.socket, word: bytes) -> bool:
    session.sendall(word)
    return session.recv(1024) == word


def _session(address: str, port: int) -> socket.socket:
    """A session that is answered, once there is a server for it."""

    def answered() -> socket.socket | None:
        session = socket.create_connection((address, port), SECONDS)
        try:
            if _echoes(session, b"hello"):
                return session
        except OSError:
            pass
        session.close()
        return None

    return wait(answered, deadline=SECONDS, what=f"a session at {address}:{port}")


def test_an_haproxy_reload_cuts_no_session(ground: Path) -> None:
    machines = _build(CLUSTER, ground)
    laid = Laid(machines["load-balancer-1"], ground)
    address = laid.machine.address
    with _primary(machines["postgres-1"]), laid.running() as haproxy:
        with closing(_session(address, 5432)) as session:
            workers = _children(haproxy.pid)
            _hears(haproxy.pid, signal.SIGUSR2)
            haproxy.send_signal(signal.SIGUSR2)
            wait(
                lambda: _children(haproxy.pid) > workers,
                deadline=SECONDS,
                what="a new worker beside the old one",
            )
            assert _echoes(session, b"still there")
            with closing(_session(address, 5432)) as another:
                assert _echoes(another, b"new ones too")
            assert _echoes(session, b"and still")
        wait(
            lambda: not workers & _children(haproxy.pid),
            deadline=SECONDS,
            what="the old worker to end with its last session",
        )


def _hears(pid: int, number: int) -> None:
    """HAProxy's master serves a moment before it hears signals; the platform waits alike."""
    process = processes.find(pid)
    assert process is not None
    wait(lambda: processes.catches(process, number), deadline=SECONDS, what="an ear for signals")


def _children(process: int) -> set[int]:
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    return set(map(int, text.split()))


def test_reads_fall_back_to_the_primary_and_statistics_want_a_certificate(ground: Path) -> None:
    machines = _build(CLUSTER, ground)
    laid = Laid(machines["load-balancer-1"], ground)
    balancer = laid.machine.membership
    assert isinstance(balancer, LoadBalancer)
    with _primary(machines["postgres-1"]), laid.running():
        # The stand-in is no replica, so the session can only come from the fallback.
        wait(
            lambda: (
                b"\nread_only,postgres-1,"
                in (table := _spoken(balancer, 8404, b"GET /;csv HTTP/1.0\r\n\r\n"))
                and _status(table, "read_only") == "DOWN"
            ),
            deadline=SECONDS,
            what="the read-only server to be down",
        )
        _session(balancer.address, 5433).close()
        table = _spoken(balancer, 8404, b"GET /;csv HTTP/1.0\r\n\r\n")
        assert _status(table, "primary") == "UP"
        assert _status(table, "api") == "UP"
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            _ask_without_certificate(balancer)


def _ask_without_certificate(balancer: LoadBalancer) -> None:
    context = ssl.create_default_context(cadata=balancer.operator.ca)
    with (
        closing(socket.create_connection((balancer.address, 8404), SECONDS)) as plain,
        closing(context.wrap_socket(plain, server_hostname=balancer.address)) as nobody,
    ):
        nobody.sendall(b"GET / HTTP/1.0\r\n\r\n")
        nobody.recv(1024)


def _status(table: bytes, proxy: str) -> str:
    rows = [line.split(",") for line in table.decode().partition("# ")[2].splitlines()]
    column = rows[0].index("status")
    return next(row[column] for row in rows if row[:2] == [proxy, "postgres-1"])


def test_a_standalone_server_is_made_and_takes_tls_and_scram_only(ground: Path) -> None:
    machine = _build(STANDALONE, ground)["server"]
    laid = Laid(machine, ground)
    laid.set_up()
    laid.set_up()  # finds its work done
    membership = machine.membership
    assert isinstance(membership, StandaloneServer)
    root = laid.place("/etc/postgresql/tls/ca.crt")
    login = {
        "host": membership.address,
        "user": "admin-1",
        "password": membership.access.superuser.password,
        "dbname": "postgres",
        "sslmode": "verify-full",
        "sslrootcert": str(root),
    }
    with laid.running(), _connected(login) as connection:
        assert _shown(connection, "shared_buffers", "work_mem") == ["16MB", "5MB"]
        assert _shown(connection, "log_line_prefix") == ["it's %m "]
        assert _shown(connection, "data_checksums", "ssl") == ["on", "on"]
        with pytest.raises(psycopg.OperationalError, match="no encryption"):
            psycopg.connect(conninfo.make_conninfo(**login | {"sslmode": "disable"}))
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(conninfo.make_conninfo(**login | {"password": "wrong"}))


def _connected(login: dict[str, str]) -> psycopg.Connection[tuple[str]]:
    """A connection, once the server is through with starting up."""

    def connected() -> psycopg.Connection[tuple[str]] | None:
        try:
            return psycopg.connect(conninfo.make_conninfo(**login), autocommit=True)
        except psycopg.OperationalError as error:
            if "starting up" in str(error):
                return None
            raise

    return wait(connected, deadline=SECONDS, what="a connection")


def _shown(connection: psycopg.Connection[tuple[str]], *names: str) -> list[str]:
    found = [connection.execute("select current_setting(%s)", [name]) for name in names]
    return [row[0] for cursor in found for row in cursor]


def test_an_initdb_that_was_killed_is_begun_anew(ground: Path) -> None:
    laid = Laid(_build(STANDALONE, ground)["server"], ground)
    half = laid.place("/var/lib/postgresql/data.new")
    half.mkdir()
    (half / "PG_VERSION").write_text("15\n")
    shutil.chown(half, laid.user)
    laid.set_up()
    assert laid.place("/var/lib/postgresql/data/PG_VERSION").exists()
    assert not half.exists()
