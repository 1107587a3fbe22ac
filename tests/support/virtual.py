"""Systems on virtual machines that really boot, worked as a user works them.

Everything runs beside the daemon, in its namespaces; nothing reaches outside.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import yaml

from pgstead.certificates import Authority, CertificateRequest, issue, make_authority
from pgstead.image.tools import missing
from pgstead.machine import File
from pgstead.reach.guest import GuestReach
from pgstead.reach.guest_agent import agent_reach, libvirt_call
from pgstead.reach.ssh import SshTarget, ssh_reach
from pgstead.waiting import wait
from support import libvirt as daemons
from support.libvirt import Libvirtd, libvirtd
from support.stack import QUICKSTART, Stack, stack_in

SUBNET = "10.77.0.0/24"
PASSWORD = "only-for-this-test"
USER = "ubuntu"
UP_SECONDS = 1800.0
"""For anything that boots machines, emulated, on two processors that do other work too."""
LATE = 180.0
"""For all to answer at the same time: one that is asked while its host is busy may be late."""

EMULATED: dict[str, Any] = {
    "vcpus": 1,
    "memory": 512,
    "install_dependencies": False,
}
SLOW_PATRONI = {"ttl": 60, "loop_wait": 5, "retry_timeout": 10}
SLOW_ETCD = {"heartbeat_interval": 500, "election_timeout": 5000}
SMALL_POSTGRES = {"key": "shared_buffers", "value": "32MB"}
SLOW_CHECKS = {"inter": "5s", "fastinter": "2s", "downinter": "5s", "timeout": "10s"}
"""Each check is a TLS handshake, which takes an emulated machine a good part of a second."""


def why_not() -> str | None:
    """The reason why no machine can be booted here; None if one can."""
    if (reason := daemons.why_not()) is not None:
        return reason
    return f"not installed: {', '.join(lacking)}" if (lacking := missing()) else None


def platform(image: Path) -> dict[str, Any]:
    """The settings of a stack beside the daemon, with a network and a pool of its own."""
    return {
        "kind": "libvirt",
        "virt_type": "qemu",
        "image": str(image),
        "network": "lab",
        "networks": {"lab": {"subnet": SUBNET, "mode": "isolated"}},
        "data_size": 1,
        "boot_deadline": 1200,
        "cloud_init_deadline": 1500,
    }


def small_cluster() -> dict[str, Any]:
    """The quickstart's cluster, for machines that are small and slow."""
    return {
        "postgres": {
            **QUICKSTART["postgres"],
            "parameters": {SMALL_POSTGRES["key"]: SMALL_POSTGRES["value"]},
            "machine": {"vcpus": 1, "memory": 640},
        },
        "etcd": {**QUICKSTART["etcd"], "machine": {"vcpus": 1, "memory": 512}},
        "load_balancer": {**QUICKSTART["load_balancer"], "machine": {"memory": 512}},
        "machines": {"install_dependencies": False},
        "timings": {
            **SLOW_PATRONI,
            "etcd": SLOW_ETCD,
            "checks": SLOW_CHECKS,
            "connect": "10s",
            "wal_sender_timeout": "30s",
            "wal_receiver_timeout": "30s",
        },
    }


@dataclass
class Lab:
    """A stack beside a daemon: its commands, its machines, and ways to look at both."""

    daemon: Libvirtd
    stack: Stack
    authority: Authority

    def write(self, document: dict[str, Any]) -> None:
        """Write the stack file."""
        self.stack.file.write_text(yaml.safe_dump(document, sort_keys=False))

    def document(self) -> dict[str, Any]:
        """What the stack file says."""
        found: dict[str, Any] = yaml.safe_load(self.stack.file.read_text())
        return found

    def change(self, machine: str, **variables: Any) -> None:
        """Change variables of a machine's module in the stack file."""
        document = self.document()
        document["modules"][machine].update(variables)
        self.write(document)

    def address(self, machine: str) -> str:
        """Where a machine is."""
        return str(self.stack.json("output", str(self.stack.file))[f"{machine}.ip"])

    def plan(self) -> dict[str, dict[str, Any]]:
        """What is pending, once all can be seen: a host that is busy may be late to answer."""

        def seen() -> dict[str, dict[str, Any]] | None:
            found = self.stack.plan()
            unseen = [one for one in found.values() if one["action"] == "unknown"]
            return None if unseen else found

        return wait(seen, deadline=LATE, what="a plan that knows everything")

    def roles(self) -> dict[str, str]:
        """The Patroni members' roles, once all is as it should be."""
        words = ("status", str(self.stack.file), "--wait", str(LATE))
        members = self.stack.json(*words)["members"]
        return {m["machine"]: m["role"] for m in members if m["machine"].startswith("postgres-")}

    @property
    def ca(self) -> Path:
        """The authority's certificate, as a file."""
        path = self.stack.folder / "ca.crt"
        path.write_text(self.authority.certificate)
        return path

    def client_files(self) -> tuple[Path, Path]:
        """A client's certificate and key, signed by the authority, as files."""
        request = CertificateRequest("client", "lab", None, "test", server=False, client=True)
        pair = issue(request, self.authority, now=datetime.now(UTC))
        paths = self.stack.folder / "client.crt", self.stack.folder / "client.key"
        for path, text in zip(paths, (pair.certificate, pair.key), strict=True):
            path.write_text(text)
        return paths

    def query(
        self, machine: str, user: str, password: str, statement: str, database: str = "postgres"
    ) -> list[tuple[Any, ...]]:
        """Run SQL on a machine's PostgreSQL, by TLS that is verified in full."""
        with (
            self.daemon.network(),
            psycopg.connect(
                host=self.address(machine),
                user=user,
                password=f"{PASSWORD}-{password}",
                dbname=database,
                sslmode="verify-full",
                sslrootcert=str(self.ca),
                connect_timeout=30,
                autocommit=True,
            ) as connection,
        ):
            found = connection.execute(statement.encode())
            return found.fetchall() if found.description else []

    def etcdctl(self, *words: str, ca: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run etcdctl beside the daemon; a failing command is an answer.

        By itself it gives 2 s to a login, in which an emulated machine reckons a password's digest.
        """
        endpoint = f"--endpoints=https://{self.address('etcd-1')}:2379"
        patience = ("--dial-timeout=20s", "--command-timeout=60s")
        options = (endpoint, *patience, f"--cacert={ca or self.ca}")
        return subprocess.run(
            [*self.daemon.enter, "etcdctl", *options, *words],
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    @contextmanager
    def inside(self, machine: str) -> Iterator[GuestReach]:
        """The way into a machine that pgstead takes: by ssh, its host key known beforehand, as
        pgstead keeps it, or by the guest agent."""
        keys = self.stack.folder / ".pgstead" / self.stack.name / "ssh"
        sockets = self.stack.folder / "sockets"
        target = SshTarget(machine, self.address(machine), USER, keys, sockets)
        with self.daemon.network():
            by_ssh = target.known_hosts.exists()
            reach = ssh_reach(target) if by_ssh else self._by_agent(machine)
            try:
                yield reach
            finally:
                reach.close()

    def _by_agent(self, machine: str) -> GuestReach:
        import libvirt  # noqa: PLC0415

        domain = libvirt.open(self.daemon.uri).lookupByName(machine)
        return agent_reach(machine, libvirt_call(domain, machine))

    def says(self, machine: str, *words: str) -> str:
        """What a command in a machine writes; it must end well."""
        with self.inside(machine) as reach:
            done = reach.run(words, timeout=180)
        assert done.code == 0, (words, done)
        return done.stdout.strip()

    def edit(self, machine: str, path: str, content: str) -> None:
        """Change a file in a machine behind pgstead's back, its owner and mode kept."""
        with self.inside(machine) as reach:
            seen = reach.look([path])[path]
            assert seen is not None
            reach.push(File(path, content, mode=seen.mode, owner=seen.owner))

    def volumes(self) -> set[str]:
        """The names of the volumes in the daemon's pool."""
        self.virsh("pool-refresh", "default")
        listed = self.virsh("vol-list", "default").splitlines()[2:]
        return {line.split()[0] for line in listed if line.strip()}

    def virsh(self, *words: str) -> str:
        """What virsh says."""
        return self.daemon.inside(["virsh", "-c", "qemu:///system", *words])


@contextmanager
def ground() -> Iterator[Libvirtd]:
    """A daemon with a pool, called default, and nothing in it."""
    with libvirtd() as daemon:
        pool = daemon.images / "default"
        pool.mkdir(mode=0o711)
        virsh = ("virsh", "-c", "qemu:///system")
        daemon.inside([*virsh, "pool-create-as", "default", "dir", f"--target={pool}"])
        yield daemon


@contextmanager
def lab(daemon: Libvirtd, folder: Path, name: str) -> Iterator[Lab]:
    """A stack whose name begins so, destroyed with its data in the end, whatever happened."""
    runtime = {"XDG_RUNTIME_DIR": str(folder)}  # where pgstead keeps its ssh connections
    with stack_in(
        folder, name, prefix=daemon.enter, environment=runtime, deadline=UP_SECONDS
    ) as stack:
        yield Lab(daemon, stack, make_authority(stack.name, "test"))
