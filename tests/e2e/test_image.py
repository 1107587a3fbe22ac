"""The image that `pgstead image build` makes, started under emulation: no KVM is needed.

The image is built once per recipe and kept in the user's cache, see `image.cache`.
"""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pgstead.image.build import Built
from pgstead.image.cache import usual_image
from pgstead.image.lock import parse_lock
from pgstead.image.tools import missing
from pgstead.machine import File
from pgstead.programs import find
from pgstead.reach.guest import GuestReach
from pgstead.reach.guest_agent import AgentTransport, agent_reach
from pgstead.reach.ssh import SshTarget, ssh_reach, write_keys
from pgstead.waiting import wait

ADDRESS = "127.88.3.8"
EMULATOR = find("qemu-system-x86_64")
FIRMWARE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
BOOT_SECONDS = 300
"""Emulated, on a machine that does other work too; alone it takes less than a minute."""

GROWN = 6
"""GiB of the disk that is made of the image, which is smaller."""

LACKING = [*missing(), *(["qemu-system-x86_64"] if EMULATOR is None else [])]

pytestmark = [
    pytest.mark.virtual,
    pytest.mark.timeout(1200),
    pytest.mark.xdist_group("image"),
    pytest.mark.skipif(bool(LACKING), reason=f"not installed: {', '.join(LACKING)}"),
]

NETWORK = """\
version: 2
ethernets:
  nic0:
    match: {macaddress: "52:54:00:77:00:01"}
    addresses: [10.0.2.15/24]
    routes: [{to: default, via: 10.0.2.2}]
"""


@dataclass(frozen=True)
class Guest:
    """A virtual machine that runs, and the two ways in."""

    agent: GuestReach
    ssh: GuestReach
    console: Path

    def says(self, *words: str) -> str:
        done = self.agent.run(words, timeout=120)
        assert done.code == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="module")
def built() -> Built:
    return usual_image(say=print)


@pytest.fixture(scope="module")
def guest(built: Built, folder: Path) -> Iterator[Guest]:
    for name in ("client", "host"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(words, check=True)
    seed(folder)
    port = free_port()
    machine = subprocess.Popen(emulator(built.image, folder, port), stdin=subprocess.DEVNULL)
    found = Guest(agent_of(folder), ssh_of(folder, port), folder / "console")
    try:
        wait_until_done(found, machine)
        yield found
    finally:
        found.ssh.close()
        machine.kill()
        machine.wait(timeout=30)


def seed(folder: Path) -> None:
    """A NoCloud disk: a FAT file system with the label that cloud-init looks for."""
    host_key = (folder / "host").read_text().replace("\n", "\n    ")
    user_data = f"""\
#cloud-config
users:
  - name: admin
    sudo: ALL=(ALL) NOPASSWD:ALL
    shell: /bin/bash
    ssh_authorized_keys: ["{(folder / "client.pub").read_text().strip()}"]
ssh_keys:
  ed25519_private: |
    {host_key}
  ed25519_public: {(folder / "host.pub").read_text()}
"""
    files = {
        "meta-data": "instance-id: i-1\nlocal-hostname: vm1\n",
        "network-config": NETWORK,
        "user-data": user_data,
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    disk = folder / "seed"
    with disk.open("wb") as file:
        file.truncate(4 * 1024**2)
    run("mkfs.vfat", "-n", "CIDATA", str(disk))
    run("mcopy", "-i", str(disk), *(str(folder / name) for name in files), "::")


def emulator(image: Path, folder: Path, port: int) -> list[str]:
    """The words that start a machine with the image, under UEFI where there is firmware for it."""
    disk = folder / "disk.qcow2"
    run(
        "qemu-img",
        "create",
        "-q",
        "-f",
        "qcow2",
        "-b",
        str(image),
        "-F",
        "qcow2",
        str(disk),
        f"{GROWN}G",
    )
    firmware = f"if=pflash,format=raw,readonly=on,file={FIRMWARE}"
    forward = f"hostfwd=tcp:{ADDRESS}:{port}-:22"
    return [
        *(str(EMULATOR), "-nodefaults", "-display", "none", "-no-reboot", "-m", "1024"),
        *("-machine", "q35,accel=tcg", "-cpu", "max"),
        *(("-drive", firmware) if FIRMWARE.exists() else ()),
        *("-drive", f"file={disk},if=virtio,cache=unsafe"),
        *("-drive", f"file={folder}/seed,if=virtio,format=raw,readonly=on"),
        *("-netdev", f"user,id=net,restrict=on,{forward}"),
        *("-device", "virtio-net-pci,netdev=net,mac=52:54:00:77:00:01"),
        *("-chardev", f"socket,id=agent,path={folder}/agent,server=on,wait=off"),
        *("-device", "virtio-serial", "-device", "virtio-rng-pci"),
        *("-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"),
        *("-serial", f"file:{folder}/console"),
    ]


def run(name: str, *words: str) -> None:
    path = find(name)
    assert path is not None
    subprocess.run([path, *words], check=True, capture_output=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


def agent_of(folder: Path) -> GuestReach:
    def call(command: str) -> str:
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(120)
            channel.connect(str(folder / "agent"))
            channel.sendall(command.encode() + b"\n")
            with channel.makefile(encoding="utf-8") as answers:
                return answers.readline()

    return agent_reach("vm1", call)


def ssh_of(folder: Path, port: int) -> GuestReach:
    target = SshTarget("vm1", ADDRESS, "admin", folder / "keys", folder / "sockets", port=port)
    host_key = (folder / "host.pub").read_text()
    write_keys(target, private_key=(folder / "client").read_text(), host_key=host_key)
    return ssh_reach(target)


def wait_until_done(guest: Guest, machine: subprocess.Popen[bytes]) -> None:
    def done() -> bool:
        assert machine.poll() is None, "the machine ended"
        text = guest.console.read_text(errors="replace") if guest.console.exists() else ""
        return "finished at" in text

    def last() -> str:
        return "\n".join(guest.console.read_text(errors="replace").splitlines()[-5:])

    wait(done, deadline=BOOT_SECONDS, what="cloud-init's end", error=last)
    transport = guest.agent.transport
    assert isinstance(transport, AgentTransport)
    assert transport.ping()


def test_cloud_init_ends_without_error(guest: Guest) -> None:
    status = json.loads(guest.says("cloud-init", "status", "--wait", "--format=json"))
    assert (status["status"], status["errors"]) == ("done", [])
    assert guest.says("hostname") == "vm1"
    assert guest.says("systemctl", "--failed", "--no-legend") == ""


def test_the_root_grows_with_its_disk(built: Built, guest: Guest) -> None:
    assert built.contents.size < GROWN
    blocks = guest.says("stat", "-f", "-c", "%b %S", "/").split()
    assert int(blocks[0]) * int(blocks[1]) > (GROWN - 1) * 1024**3


def test_everything_is_inside_and_no_server_runs(guest: Guest) -> None:
    assert int(guest.says("patroni", "--version").split()[1].split(".")[0]) >= 4
    for program in ("etcd", "etcdctl", "haproxy", "psql", "podman", "chronyd"):
        assert guest.says("which", program).endswith(f"/{program}")
    for service in ("etcd", "haproxy", "postgresql", "prometheus-node-exporter"):
        assert guest.agent.run(["systemctl", "is-enabled", service]).stdout == "disabled\n"
    guest.says("modprobe", "--dry-run", "--all", "i6300esb", "softdog")
    assert guest.says("sh", "-c", "pg_lsclusters --no-header | wc -l") == "0"


def test_the_list_is_of_what_is_inside(built: Built, guest: Guest) -> None:
    installed = guest.says("dpkg-query", "-W", "-f", "${Package} ${Version}\\n")
    assert dict(line.split() for line in installed.splitlines()) == built.contents.packages
    listed = parse_lock(built.packages.read_text())
    assert listed == built.contents
    assert listed.python["patroni"].startswith("4.")


def test_nothing_of_one_machine_is_in_the_image(guest: Guest) -> None:
    assert len(guest.says("cat", "/etc/machine-id")) == 32
    keys = guest.says("sh", "-c", "ls /etc/ssh/ssh_host_*").splitlines()
    assert [Path(key).name for key in keys] == ["ssh_host_ed25519_key", "ssh_host_ed25519_key.pub"]
    assert guest.says("passwd", "--status", "root").split()[1] == "L"


@pytest.mark.parametrize("way", ["ssh", "agent"])
def test_both_ways_in_push_run_read_and_follow(guest: Guest, way: str) -> None:
    reach: GuestReach = getattr(guest, way)
    assert reach.run(["id", "-u"]).stdout == "0\n"
    path, content = f"/etc/pgstead/{way} it's.yml", "a: ü\r\n" * 10_000
    reach.push(File(path, content, mode=0o600, owner="postgres"))
    seen = reach.look([path, "/absent"])
    assert [one and (one.content == content, one.owner, one.mode) for one in seen.values()] == [
        (True, "postgres", 0o600),
        None,
    ]
    reach.run(["systemd-run", "--unit", f"talks-{way}", "--wait", "echo", "well said"])
    assert [line for line in reach.logs(f"talks-{way}") if line.endswith("well said")]
