"""Etcd full to its quota, freed by `pgstead etcd defrag`; and a version that does not fit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pgstead.clients.etcd import EtcdClient, EtcdError, encoded
from pgstead.clients.etcd_maintenance import alarms
from pgstead.errors import ClientError
from pgstead.waiting import wait
from support.members import eventually, members
from support.stack import Stack, stack_in

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("etcd-space"), pytest.mark.timeout(120)]

MEMBERS = ("etcd-1", "etcd-2", "etcd-3")
QUOTA = 8 * 1024**2
VALUE = 512 * 1024
KEY = "/space/key"
ROOM = 4 * 1024**2
"""What the file may have at the end: an empty one has a few pages of 4 KiB."""


def module(name: str, quota: int) -> dict[str, Any]:
    addresses = [{"name": each, "ip": f"${{modules.{each}.ip}}"} for each in MEMBERS]
    bootstrap: dict[str, Any] = {"bootstrap": name == MEMBERS[0]}
    if bootstrap["bootstrap"]:
        bootstrap["root_password"] = "${passwords.root}"
    return {
        "source": "etcd-server",
        "name": name,
        "ca": "ca",
        "etcd": {
            "space_quota": quota,
            "grpc_gateway_enabled": True,
            "heartbeat_interval": 100,
            "election_timeout": 1000,
        },
        "authentication_bootstrap": bootstrap,
        "cluster": {"initial_token": "space", "initial_members": addresses},
    }


def document(quota: int = QUOTA) -> dict[str, Any]:
    return {
        "certificate_authorities": {"ca": {}},
        "passwords": {"root": {}},
        "modules": {name: module(name, quota) for name in MEMBERS},
    }


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    with stack_in(folder, "t-etcd-space") as made:
        made.write(**document())
        made.up()
        yield made


def fill(client: EtcdClient) -> None:
    """Write the same key until etcd has no room for another revision."""
    for _ in range(2 * QUOTA // VALUE):
        value = encoded(os.urandom(VALUE // 2).hex())
        try:
            client.call("/v3/kv/put", {"key": encoded(KEY), "value": value})
        except ClientError as error:  # a slow disk costs a request, or the leader
            if "space exceeded" in error.message:
                raise


def full(stack: Stack) -> bool:
    """Whether every member says so: those that follow hear of the alarm a little later."""
    return [one["state"] for one in stack.status()["members"]] == ["no space"] * len(MEMBERS)


def put(client: EtcdClient) -> str:
    client.call("/v3/kv/put", {"key": encoded(KEY), "value": encoded("small")})
    (found,) = client.range(KEY)
    return found.value


def test_a_full_etcd_is_seen_and_freed(stack: Stack) -> None:
    client = members(stack).etcd
    wait(client.cluster_version, deadline=30, what="the members to agree on a version")
    with pytest.raises(EtcdError, match="space exceeded"):
        fill(client)
    assert {one.kind for one in alarms(client)} == {"NOSPACE"}

    eventually(lambda: full(stack))
    seen = stack.status()
    assert not seen["whole"]
    assert {one["role"] for one in seen["members"]} == {"etcd leader", "etcd follower"}
    assert any("`pgstead etcd defrag` frees space" in problem for problem in seen["problems"])

    done = stack.run("etcd", "defrag", str(stack.file))
    steps = [line for line in done.stderr.splitlines() if line.startswith("defragment ")]
    assert len(steps) == len(MEMBERS)
    assert [", the leader" in step for step in steps] == [False, False, True]
    assert "compact etcd cluster space" in done.stderr
    assert all(name in done.stdout for name in MEMBERS)

    stack.becomes_whole()
    assert alarms(client) == ()
    assert put(client) == "small"
    statuses = [client.at(*place).status() for place in client.endpoints]
    assert all(one.database_bytes < ROOM for one in statuses)


def test_a_larger_quota_reaches_members_without_space(stack: Stack) -> None:
    """They are restarted although none of them is well; the alarm stays until it is taken back."""
    client = members(stack).etcd
    with pytest.raises(EtcdError, match="space exceeded"):
        fill(client)
    stack.write(**document(QUOTA * 2))
    changed = stack.up()["changed"]
    assert set(changed) == {f"machine.{name}" for name in MEMBERS}
    eventually(lambda: full(stack))
    (done,) = stack.json("etcd", "defrag", str(stack.file))["clusters"]
    assert done["cluster"] == "space"
    assert [one["machine"] for one in done["members"]] == list(MEMBERS)
    assert all(0 < one["in_use"] <= one["after"] < one["before"] for one in done["members"])
    stack.becomes_whole()
    assert put(client) == "small"


def test_a_program_two_minor_versions_newer_is_refused(stack: Stack) -> None:
    version = members(stack).etcd.cluster_version()
    assert version is not None
    major, minor = map(int, version.split(".")[:2])
    newer = stack.folder / "etcd"
    newer.write_text(f"#!/bin/sh\necho 'etcd Version: {major}.{minor + 2}.0'\n")
    for each in (newer, stack.folder):  # for the servers' user to run
        each.chmod(0o755)
    stack.write(**document(QUOTA * 2), platform={"kind": "local", "binaries": {"etcd": str(newer)}})
    try:
        refused = stack.plan()
        assert set(refused) == {f"machine.{name}" for name in MEMBERS}
        assert {one["action"] for one in refused.values()} == {"refuse"}
        said = stack.run("up", str(stack.file), "--yes", code=1).stderr
        assert "nothing was changed" in said
        assert f"which is etcd {major}.{minor}'s" in said
        assert f"go to etcd {major}.{minor + 1} first" in said
    finally:
        stack.write(**document(QUOTA * 2))
    assert stack.plan() == {}
