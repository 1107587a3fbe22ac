"""What the OpenStack platform makes boots, and serves.

The cloud is made of the real services; in place of nova's fake hypervisor, libvirt runs a container
for each server: cloud-init finds nova's config drive, and everything else comes as it does in
a cloud.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("libvirt")
pytest.importorskip("openstack")

from pgstead.platforms.guests.guest import RESULT
from pgstead.platforms.guests.keys import derived
from pgstead.reach.ssh import SshTarget, ssh_reach, write_keys
from support import containers
from support.etcd_root import etcdctl, keep
from support.libvirt import Libvirtd, libvirtd
from support.openstack.door import door
from support.openstack.guest import Guest
from support.openstack.hypervisor import booting
from support.openstack.lab import Lab
from support.openstack.project import NAME, Project, project_in
from support.stack import Stack, stack_in

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(containers.why_not() is not None, reason=str(containers.why_not())),
    pytest.mark.timeout(900),  # the image may have to be built first
]

MEMBER = "etcd-1-dev"
KEY_PAIR = "ours"
IMAGES_USER = "debian"
"""The first user of the image, who gets the key pair's key."""

PLATFORM = {"kind": "openstack", "cloud": "member"}
OWNERS_KEY = derived("of a test", "key pair")


@pytest.fixture(scope="module")
def root() -> Path:
    """Made first: beside the daemon there is no network to fetch packages from."""
    return containers.unpacked()


@pytest.fixture(scope="module")
def daemon(openstack_lab: Lab) -> Iterator[Libvirtd]:
    """Whose network the rest of this file is in; the lab, which others use, stays outside."""
    with (
        libvirtd() as made,
        door(openstack_lab, made.network),
        made.network(),
    ):
        yield made


@pytest.fixture(scope="module")
def project(daemon: Libvirtd, openstack_lab: Lab, root: Path) -> Iterator[Project]:
    with project_in(openstack_lab) as made, booting(openstack_lab, daemon, root):
        made.member.compute.create_keypair(name=KEY_PAIR, public_key=OWNERS_KEY.public)
        yield made
        made.member.compute.delete_keypair(KEY_PAIR)


@contextmanager
def up(project: Project, folder: Path, delivery: str) -> Iterator[Stack]:
    """One member of etcd, brought up and taken down by the command line."""
    told = {"OS_CLIENT_CONFIG_FILE": str(project.lab.clouds_file)}
    with stack_in(folder, "t-openstack-boot", environment=told) as stack:
        stack.write(platform={**PLATFORM, "delivery": delivery}, **etcd())
        stack.up()
        keep(stack, "etcd-1")
        yield stack


def etcd() -> dict[str, Any]:
    member = {
        "source": "openstack-etcd-server",
        "name": "etcd-1",
        "namespace": "dev",
        "image_id": NAME,
        "flavor_id": NAME,
        "network_port": {"network_id": NAME},
        "keypair_name": KEY_PAIR,
        "key_length": None,
        "initial_cluster": [{"name": "etcd-1", "ip": "${modules.etcd-1.ip}"}],
        "ca": "etcd",
        "bootstrap_authentication": True,
        "install_dependencies": False,
    }
    return {"certificate_authorities": {"etcd": {}}, "modules": {"etcd-1": member}}


def only_guest(project: Project) -> Guest:
    (guest,) = project.lab.guests.values()
    return guest


def as_owner(stack: Stack, guest: Guest, *words: str) -> str:
    """What a command says that is run with the key pair's key, as the image's own user."""
    known = (stack.folder / ".pgstead" / stack.name / "ssh" / f"{MEMBER}.known_hosts").read_text()
    folder = stack.folder / "owner"
    target = SshTarget(MEMBER, str(guest.address), IMAGES_USER, folder, folder / "s")
    write_keys(target, private_key=OWNERS_KEY.private, host_key=known.partition(" ")[2])
    reach = ssh_reach(target)
    try:
        done = reach.run(words)
    finally:
        reach.close()
    assert done.code == 0, done
    return done.stdout.strip()


def assert_serves(stack: Stack) -> None:
    """etcd lets root in, by its certificate, and nobody else do what root may."""
    users = etcdctl(stack, "user", "list")
    assert users.stdout.split() == ["pgstead-operator", "root"], users.stderr
    assert etcdctl(stack, "put", "/a", "b").returncode == 0
    assert etcdctl(stack, "get", "/a").stdout.split() == ["/a", "b"]
    assert stack.plan() == {}


def test_a_server_boots_from_its_config_drive_and_is_set_up_by_ssh(
    project: Project, own_folder: Path
) -> None:
    with up(project, own_folder, "reach") as stack:
        assert_serves(stack)
        guest = only_guest(project)
        assert "server.key" not in gzip.decompress(guest.user_data).decode()
        told = json.loads(as_owner(stack, guest, "cat", RESULT))["v1"]
        assert (told["datasource"].split()[0], told["errors"]) == ("DataSourceConfigDrive", [])
        assert as_owner(stack, guest, "systemctl", "--failed", "--no-legend") == ""
        assert as_owner(stack, guest, "hostname") == MEMBER


def test_a_server_is_set_up_by_its_user_data_alone(project: Project, own_folder: Path) -> None:
    with up(project, own_folder, "user_data") as stack:
        assert_serves(stack)
        guest = only_guest(project)
        assert "server.key" in gzip.decompress(guest.user_data).decode()
