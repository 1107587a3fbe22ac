"""The etcd member of OpenStack, as processes here: its root has a certificate and no password."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.etcd_root import etcdctl, keep
from support.stack import Stack, stack_in

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("openstack_etcd"), pytest.mark.timeout(180)]

MEMBERS = ("etcd-1", "etcd-2")


def module(name: str, members: tuple[str, ...] = MEMBERS) -> dict[str, Any]:
    return {
        "source": "openstack-etcd-server",
        "name": name,
        "namespace": "dev",
        "image_id": "ubuntu",
        "flavor_id": "micro",
        "network_port": {"network_id": "internal"},
        "keypair_name": "mine",
        "key_length": None,
        "initial_cluster": [{"name": each, "ip": f"${{modules.{each}.ip}}"} for each in members],
        "ca": "etcd",
        "bootstrap_authentication": name == MEMBERS[0],
    }


def modules(*names: str) -> dict[str, Any]:
    made = {name: module(name, names) for name in names}
    return {"certificate_authorities": {"etcd": {}}, "modules": made}


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    with stack_in(folder, "t-openstack-etcd") as made:
        made.write(**modules(*MEMBERS))
        made.up()
        keep(made, MEMBERS[0])
        yield made


def test_root_is_reached_by_its_certificate_and_nobody_else_is_root(stack: Stack) -> None:
    users = etcdctl(stack, "user", "list")
    assert users.stdout.split() == ["pgstead-operator", "root"], users.stderr
    assert etcdctl(stack, "put", "/a", "b").returncode == 0
    members = stack.machine("etcd-2-dev") / "etc/etcd/tls/server.crt"
    refused = etcdctl(stack, "put", "/a", "c", cert=members)
    assert "permission denied" in refused.stderr
    assert stack.plan() == {}


def test_members_come_and_go_although_root_has_no_password(stack: Stack) -> None:
    stack.write(**modules(*MEMBERS, "etcd-3"))
    stack.up()
    members = etcdctl(stack, "member", "list").stdout
    assert "etcd-3-dev" in members
    assert "true" not in members.replace("started", "")  # none is a learner any more
    stack.write(**modules(*MEMBERS))
    stack.up()
    members = etcdctl(stack, "member", "list").stdout
    assert "etcd-3-dev" not in members
    assert "etcd-2-dev" in members
    assert stack.plan() == {}
