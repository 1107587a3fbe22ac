"""The quickstart, as its users meet it."""

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from support.members import eventually
from support.stack import Stack

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("quickstart")]


def test_every_member_is_whole(quickstart: Stack) -> None:
    quickstart.becomes_whole()
    roles = ["leader", "quorum standby", "quorum standby"]
    # `up` waits until one standby is named, which is enough to write.
    eventually(lambda: sorted(quickstart.roles().values()) == roles)


def test_a_second_up_has_nothing_to_do(quickstart: Stack) -> None:
    done = quickstart.up()
    assert (done["changed"], done["summary"][:13]) == ([], "Nothing to do")


def test_the_dsn_works_as_printed_and_holds_no_password(quickstart: Stack) -> None:
    dsn = quickstart.dsn()
    with psycopg.connect(dsn) as connection:
        assert connection.pgconn.ssl_in_use
        assert connection.execute("SELECT current_user, pg_is_in_recovery()").fetchone() == (
            "app",
            False,
        )
    password = quickstart.dsn("--with-password").split("@")[0].rpartition(":")[2]
    assert len(password) >= 24
    assert password not in dsn


def test_the_read_only_endpoint_leads_to_a_standby(quickstart: Stack) -> None:
    with psycopg.connect(quickstart.dsn("--role", "replica"), autocommit=True) as connection:
        assert connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("CREATE TABLE no (id int)")


def test_psql_is_connected(quickstart: Stack) -> None:
    done = quickstart.run("psql", str(quickstart.file), "--", "-Atc", "SELECT 6 * 7")
    assert done.stdout.strip() == "42"


@pytest.mark.parametrize("change", ["sslmode=disable", "password=wrong"])
def test_without_tls_or_with_a_wrong_password_nobody_gets_in(
    quickstart: Stack, change: str
) -> None:
    key, _, value = change.partition("=")
    with pytest.raises(psycopg.OperationalError, match=r"no encryption|password authentication"):
        psycopg.connect(quickstart.dsn("--with-password"), **{key: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(("machine", "port"), [("etcd-1", 2379), ("postgres-1", 4443)])
def test_apis_want_a_client_certificate(quickstart: Stack, machine: str, port: int) -> None:
    address = next(
        m["address"].partition(":")[0]
        for m in quickstart.status()["members"]
        if m["machine"] == machine
    )
    with pytest.raises((ssl.SSLError, ConnectionError)):
        first_byte(address, port)


def first_byte(address: str, port: int) -> bytes:
    """What a server answers to a client without a certificate; with TLS 1.3 it refuses late."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((address, port), timeout=5) as plain,
        context.wrap_socket(plain) as tls,
    ):
        tls.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        return tls.recv(1)


def secrets(stack: Stack) -> list[str]:
    uris = [stack.dsn("--with-password"), stack.dsn("--with-password", "--admin")]
    return [uri.split("@")[0].rpartition(":")[2] for uri in uris]


def test_no_secret_is_in_arguments_environments_logs_or_the_state(quickstart: Stack) -> None:
    known = secrets(quickstart)
    for process in quickstart.processes():
        with suppress(psutil.NoSuchProcess):  # it ended meanwhile
            words = [*process.cmdline(), *process.environ().values()]
            assert not [s for s in known for word in words if s in word], process
    logs = [file for file in files(quickstart.root) if file.suffix == ".log"]
    logs += (quickstart.folder / ".pgstead").glob("*.db*")
    assert logs
    for log in logs:
        content = log.read_bytes()
        assert not [s for s in known if s.encode() in content], log


def files(folder: Path) -> Iterator[Path]:
    """All below a folder; one that a server removes meanwhile may be among them."""
    for place, _, names in os.walk(folder):
        yield from (Path(place) / name for name in names)


def test_no_file_with_a_secret_can_be_read_by_others(quickstart: Stack) -> None:
    known = [secret.encode() for secret in secrets(quickstart)] + [b"PRIVATE KEY"]
    found = 0
    for place in (quickstart.root, quickstart.folder):
        for file in files(place):
            with suppress(FileNotFoundError):
                if file.is_file() and any(s in file.read_bytes() for s in known):
                    assert file.stat().st_mode & 0o007 == 0, file
                    found += 1
    assert found > 10


def test_history_output_logs_and_render_tell_what_they_should(
    quickstart: Stack, tmp_path: Path
) -> None:
    file = str(quickstart.file)
    assert quickstart.json("history", file)[-1]["outcome"] == "done"
    assert quickstart.json("output", file)["etcd-1.endpoint"].endswith(":2379")
    assert "Patroni" in quickstart.run("logs", file, "postgres-1", "-n", "1000").stdout
    quickstart.run("render", file, "-o", str(tmp_path / "out"))
    rendered = (tmp_path / "out/postgres-1/etc/patroni/patroni.yml").read_text()
    assert "***" in rendered
    assert not any(secret in rendered for secret in secrets(quickstart))


def test_expand_plans_the_same(quickstart: Stack, tmp_path: Path) -> None:
    before = quickstart.file.read_text()
    quickstart.file.write_text(quickstart.run("expand", str(quickstart.file)).stdout)
    try:
        assert quickstart.plan() == {}
    finally:
        quickstart.file.write_text(before)
