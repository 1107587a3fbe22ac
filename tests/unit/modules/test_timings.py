"""Timings that only several modules together can tell of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pgstead.modules.base import Context, Facts
from pgstead.modules.build import Blueprint, build
from pgstead.modules.fake import FakeMaterials
from pgstead.spec import expand, from_tree, loads

FOLDER = Path("/nowhere")


def modules(timings: dict[str, Any], **parts: Any) -> Blueprint:
    """The modules that a cluster with these timings stands for, as a stack of their own."""
    made = from_tree(
        {"name": "x", "cluster": {"timings": timings, **parts}}, folder=FOLDER, environ={}
    )
    stack = loads(expand(made), folder=FOLDER, environ={})
    return build(stack, Context(Facts("local"), FakeMaterials()))


def test_an_election_longer_than_the_retries_is_told_of_etcd() -> None:
    timings = {"failsafe_mode": False, "etcd": {"election_timeout": 4000}}
    (warning,) = (w for w in modules(timings).warnings if "election_timeout" in w)
    assert warning.startswith("modules.etcd-1: etcd.election_timeout is 4000 ms: an election may")
    assert not any("election_timeout" in w for w in modules({"failsafe_mode": False}).warnings)


def test_a_balancer_slower_than_the_lease_is_told_of_it() -> None:
    slow = {"connect": "1s", "checks": {"inter": "12s", "fall": 3}}
    warnings = modules(slow).warnings
    assert any(w.startswith("modules.load-balancer-1: haproxy.checks.fall is 3") for w in warnings)
    assert modules({}).warnings == ()


def test_each_cluster_has_its_own_with_what_serves_it() -> None:
    (found,) = modules({}, postgres={"members": 2}, etcd={"members": 3}).timings
    settings = found.settings
    assert settings.replication is not None
    assert settings.replication.members == 2
    assert settings.etcd is not None
    assert settings.etcd.members == 3
    assert found.modules == {
        "patroni": "postgres-1",
        "replication": "postgres-1",
        "server": "postgres-1",
        "client": "postgres-1",
        "etcd": "etcd-1",
        "balancer": "load-balancer-1",
    }


def test_what_is_not_in_the_stack_is_not_known() -> None:
    (found,) = modules({}, load_balancer={"members": 0}).timings
    assert found.settings.balancer is None
    assert "balancer" not in found.modules


def test_parameters_without_a_unit_are_postgresqls() -> None:
    """wal_sender_timeout 9000 is in milliseconds, a keepalive's 0 is the kernel's own."""
    made = from_tree({"name": "x", "cluster": {}}, folder=FOLDER, environ={})
    text = expand(made).replace('value: "5"', 'value: "0"').replace("value: 5s", 'value: "9000"')
    stack = loads(text, folder=FOLDER, environ={})
    first = stack.modules["postgres-1"].variables["postgres"]["params"]
    assert {"key": "wal_sender_timeout", "value": "9000"} in first
    assert {"key": "tcp_keepalives_idle", "value": "0"} in first
    (found,) = build(stack, Context(Facts("local"), FakeMaterials())).timings
    server = found.settings.server
    assert server is not None
    assert (server.wal_sender_timeout, server.wal_receiver_timeout) == (9, 3)
    assert (server.keepalives_idle, server.keepalives_interval) == (7200, 1)
    assert server.tcp_user_timeout == 5
