"""A machine of a cloud, set up by what is pushed to it: a real etcd comes to serve."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from pgstead.certificates import make_authority
from pgstead.machine import Machine
from pgstead.modules.base import Context, Facts
from pgstead.modules.build import build
from pgstead.platforms.cloud_init import conventional, conventional_text
from pgstead.platforms.guests.guest import Guest
from pgstead.platforms.guests.laying import lay_down
from pgstead.reach.base import Finished
from pgstead.reach.guest import PART, SETTLE, GuestReach, script
from pgstead.spec import from_tree
from pgstead.waiting import wait
from support import cell
from support.cell import Cell
from support.signed import Signed

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(cell.why_not() is not None, reason=str(cell.why_not())),
    pytest.mark.skipif(shutil.which("etcd") is None, reason="not installed: etcd"),
    pytest.mark.timeout(60),
]

WRITE = f'{PART}owner=$2 mode=$3 size=$4\ncat > "$part"\n{SETTLE}'


@dataclass(frozen=True)
class CellTransport:
    """Implements `reach.guest.Transport`: as ssh does, but without a network."""

    place: Cell
    machine: str = "etcd-1"

    def execute(self, argv: Sequence[str], *, timeout: float) -> Finished:
        done = self.place.run(*argv, code=None)
        return Finished(done.returncode, done.stdout, done.stderr)

    def write(self, path: str, content: str, *, owner: str, mode: int) -> None:
        words = (path, f"{owner}:", f"{mode:o}", str(len(content.encode())))
        self.place.run(*script(WRITE, *words), given=content)

    def close(self) -> None:
        """Nothing is kept open."""


@pytest.fixture
def place() -> Iterator[Cell]:
    with tempfile.TemporaryDirectory(prefix="pgl-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with cell.cell(folder) as made:
            yield made


def member() -> Machine:
    tree = {
        "name": "unit",
        "platform": {"kind": "openstack", "image": "debian", "flavor": "small"},
        "certificate_authorities": {"ca": {}},
        "modules": {
            "etcd-1": {
                "source": "etcd-server",
                "name": "etcd-1",
                "ip": "10.88.0.1",
                "ca": "ca",
                "install_dependencies": False,
                "node_exporter": {"enabled": False},
                "cluster": {"initial_members": [{"name": "etcd-1", "ip": "10.88.0.1"}]},
            }
        },
    }
    stack = from_tree(tree, folder=Path("/nowhere"), environ={})
    signer = make_authority("test", "test")
    (made,) = build(stack, Context(Facts("openstack"), Signed(signer))).machines
    return conventional(made)


@contextmanager
def running(place: Cell, machine: Machine) -> Iterator[None]:
    """The machine's etcd, started as systemd would."""
    (service,) = machine.software.services
    become = ["setpriv", f"--reuid={service.user}", f"--regid={service.user}", "--init-groups"]
    process = subprocess.Popen(
        [*place.enter, *become, "--", *service.command],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.kill()
        process.wait(10)


def test_etcd_serves_on_a_machine_that_got_all_by_its_way_in(place: Cell) -> None:
    machine = member()
    place.run("ip", "address", "add", f"{machine.address}/32", "dev", "lo")
    guest = Guest(machine, "a cell", GuestReach(CellTransport(place), conventional_text))
    lay_down(guest, {}, ())
    before = place.run("sh", "-c", "find /etc/etcd -type f -exec sha256sum {} +").stdout
    lay_down(guest, {}, ())  # as after an interruption
    assert place.run("sh", "-c", "find /etc/etcd -type f -exec sha256sum {} +").stdout == before
    shown = place.run("stat", "-c", "%U %a", "/etc/etcd/tls/server.key", "/var/lib/etcd").stdout
    assert shown.split() == ["etcd", "600", "etcd", "700"]
    assert "etcd --config-file" in place.run("cat", "/etc/systemd/system/etcd.service").stdout
    tls = [f"--cacert=/etc/etcd/tls/{name}" for name in ("ca.crt",)]
    tls += ["--cert=/etc/etcd/tls/server.crt", "--key=/etc/etcd/tls/server.key"]
    with running(place, machine):
        guest.wait_ready(machine.software.services)
        health = ["etcdctl", f"--endpoints=https://{machine.address}:2379", *tls]
        words = ["env", "ETCDCTL_API=3", *health, "endpoint", "health"]
        # It listens before it leads.
        wait(lambda: _is_healthy(place, words), deadline=20, what="etcd to be healthy")


def _is_healthy(place: Cell, words: list[str]) -> bool:
    done = place.run(*words, code=None)
    return "is healthy" in done.stdout + done.stderr
