"""Servers that are containers of images, run by Podman, without a machine around them.

The images are pulled from a registry with TLS, a user and a password, by the very scripts
that machines have; the first boot is a machine's own, but for systemd.
"""

from __future__ import annotations

import shutil
import ssl
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgstead.certificates import Authority, make_authority
from pgstead.clients.postgres import Login, connect
from pgstead.machine import Machine
from pgstead.membership import LoadBalancer
from pgstead.modules.base import Context, Facts
from pgstead.modules.build import build
from pgstead.spec import from_tree
from pgstead.waiting import wait
from support import cell, oci
from support import registry as registries
from support.cell import Cell
from support.registry import Registry, registry
from support.signed import Signed

SERVER, PROXY = "10.88.0.1", "10.88.0.2"
REGISTRY = "10.88.0.9"
SECRET = "only-for-this-server"


def why_not() -> str | None:
    podman = None if shutil.which("podman") else "not installed: podman"
    reasons = (podman, cell.why_not(), registries.why_not(), oci.why_not())
    return next((reason for reason in reasons if reason), None)


pytestmark = [
    pytest.mark.real,
    pytest.mark.xdist_group("container_images"),
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
    pytest.mark.timeout(180),
]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return make_authority("test", "test")


@pytest.fixture(scope="module")
def place() -> Iterator[Cell]:
    with tempfile.TemporaryDirectory(prefix="pgc-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        with cell.cell(Path(folder)) as made:
            made.run("ip", "address", "add", f"{REGISTRY}/32", "dev", "lo")
            yield made


@pytest.fixture(scope="module")
def images(place: Cell, authority: Authority, folder: Path) -> Iterator[Registry]:
    with registry(folder / "registry", REGISTRY, authority, place.network) as made:
        oci.push(made, "databases/postgres", oci.postgres_major(), oci.postgres_image())
        oci.push(made, "haproxy", "3.0", oci.haproxy_image())
        yield made


def machine(signer: Authority, **variables: Any) -> Machine:
    tree = {
        "name": "unit",
        "platform": {"kind": "memory"},
        "certificate_authorities": {"ca": {}},
        "modules": {"it": {"ca": "ca", **variables}},
    }
    stack = from_tree(tree, folder=Path("/nowhere"), environ={})
    (made,) = build(stack, Context(Facts("memory"), Signed(signer))).machines
    return made


def server(signer: Authority, images: Registry) -> Machine:
    return machine(
        signer,
        source="postgres-server",
        name="single",
        ip=SERVER,
        postgres_image=f"databases/postgres:{oci.postgres_major()}",
        container_registry=images.settings,
        postgres_user="owner",
        postgres_database="things",
        postgres_password=SECRET,
        postgres_params="-c 'shared_buffers=16MB' -c 'log_line_prefix=by me '",
    )


def query(place: Cell, authority: Authority, folder: Path, statement: str) -> Any:
    trusted = folder / "ca.crt"
    trusted.write_text(authority.certificate)
    with (
        place.network(),
        psycopg.connect(
            host=SERVER,
            user="owner",
            password=SECRET,
            dbname="things",
            sslmode="verify-full",
            sslrootcert=str(trusted),
            connect_timeout=10,
            autocommit=True,
        ) as connection,
    ):
        found = connection.execute(statement.encode())
        return found.fetchone() if found.description else None


def test_postgresql_is_pulled_set_up_reloaded_and_started_again(
    place: Cell, images: Registry, authority: Authority, folder: Path
) -> None:
    wanted = server(authority, images)
    said = place.boot(wanted)
    assert SECRET not in said.stdout + said.stderr

    def ask(statement: str) -> Any:
        return query(place, authority, folder, statement)

    def answers() -> bool:
        with suppress(psycopg.OperationalError):
            return bool(ask("SELECT 1"))
        return False

    with place.serving(wanted, "postgres") as serving:
        wait(answers, deadline=30, what="PostgreSQL")
        assert ask("SELECT current_user") == ("owner",)
        assert ask("SHOW data_checksums") == ("on",)
        assert ask("SHOW log_line_prefix") == ("by me ",)
        ask("CREATE TABLE pg_temp.kept (n int)")
        ask("CREATE SCHEMA kept")
        assert_secret(place, SECRET)
        serving.reload()
        with (
            place.network(),
            connect(Login(SERVER, 5432, "owner", SECRET, authority.certificate)) as client,
        ):
            # Of what the files say otherwise, which the command line overrides.
            wait(lambda: client.pending_restarts() or None, deadline=30, what="the reload")
            assert client.effective_restarts() == []
        place.run("sh", "-c", "echo 'local all all reject' > /etc/postgresql/pg_hba.conf")
        serving.reload()
        wait(lambda: not answers(), deadline=30, what="the reload")
        assert serving.stop() == 0
    place.run("sh", "-c", "cat > /etc/postgresql/pg_hba.conf", given=hba(wanted))
    with place.serving(wanted, "postgres") as serving:
        wait(answers, deadline=30, what="PostgreSQL")
        assert ask("SELECT count(*) FROM pg_namespace WHERE nspname = 'kept'") == (1,)
        serving.cut_off()
        assert answers(), "the container outlives the client"
        place.run("env", "SERVICE_RESULT=timeout", *serving.service.afterwards)
        assert not answers()
        assert place.run("podman", "ps", "--all", "--format", "{{.Names}}").stdout == ""
    owners = place.run("sh", "-c", "stat -c %U:%a /var/lib/postgresql/data/PG_VERSION").stdout
    assert owners == "postgres:600\n"


def hba(wanted: Machine) -> str:
    (found,) = [one for one in wanted.software.files if one.path.endswith("/pg_hba.conf")]
    return found.content


def assert_secret(place: Cell, *secrets: str) -> None:
    """No command line has them, and no file that others may read."""
    seen = place.run("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '").stdout
    assert "podman" in seen
    hidden = (*secrets, *registries.SECRETS)
    words = [word for secret in hidden for word in ("-e", secret)]
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")
    folders = ("/etc", "/run", "/usr/local", "/var/lib")
    read = place.run(*nobody, "grep", "-rlsF", *words, *folders, code=None).stdout
    assert [secret for secret in hidden if secret in seen] == []
    assert read == ""
    assert place.run("grep", "-rlsF", *words, *folders, code=None).stdout != "", "root finds them"


def test_haproxy_is_pulled_serves_reloads_and_stops(
    place: Cell, images: Registry, authority: Authority, folder: Path
) -> None:
    wanted = machine(
        authority,
        source="postgres-load-balancer",
        name="balancer",
        ip=PROXY,
        container_registry=images.settings,
        haproxy={
            "members": [{"name": "postgres-1", "ip": SERVER}],
            "statistics": {"enabled": True},
        },
    )
    place.boot(wanted)

    def shown() -> str | None:
        return statistics(place, wanted, folder)

    with place.serving(wanted, "haproxy") as serving:
        assert "postgres-1" in wait(shown, deadline=30, what="HAProxy")
        assert_secret(place)
        place.run("sed", "-i", "s/postgres-1/another/g", "/etc/haproxy/haproxy.cfg")
        serving.reload()
        wait(lambda: "another" in (shown() or ""), deadline=20, what="the reload")
        assert serving.process.poll() is None
        assert serving.stop() == 0
    left = place.run("podman", "ps", "--all", "--format", "{{.Names}}").stdout
    assert left == ""


def statistics(place: Cell, wanted: Machine, folder: Path) -> str | None:
    membership = wanted.membership
    assert isinstance(membership, LoadBalancer)
    operator = membership.operator
    pair = folder / "operator.pem"
    pair.write_text(operator.certificate + operator.key)
    trust = ssl.create_default_context(cadata=operator.ca)
    trust.load_cert_chain(pair)
    url = f"https://{PROXY}:{membership.statistics_port}/;csv"
    with (
        suppress(OSError),
        place.network(),
        urllib.request.urlopen(url, timeout=5, context=trust) as answer,
    ):
        return str(answer.read().decode())
    return None


def test_without_its_password_nothing_is_pulled(
    place: Cell, images: Registry, authority: Authority
) -> None:
    with pytest.raises(OSError, match="401"):
        images.ask("GET", "/v2/", password="another")
    done = place.run("podman", "pull", f"{images.address}/haproxy:3.0", code=None)
    assert done.returncode != 0
    assert "unauthorized" in done.stderr or "authentication required" in done.stderr
    assert registries.PASSWORD not in images.log
