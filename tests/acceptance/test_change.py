"""Changes of a cluster that serves: no acknowledged row is lost, nothing restarts unasked."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.ledger import writing
from support.members import eventually, mains, members
from support.stack import Stack, stack_in

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("change")]

CLUSTER: dict[str, Any] = {
    "postgres": {"members": 3, "parameters": {"max_connections": 60}},
    "etcd": {"members": 1},
    "load_balancer": {"members": 1},
}


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    with stack_in(folder, "t-change") as made:
        made.write(CLUSTER)
        made.up()
        yield made


def changed(**parts: dict[str, Any]) -> dict[str, Any]:
    cluster = copy.deepcopy(CLUSTER)
    for part, values in parts.items():
        cluster.setdefault(part, {}).update(values)
    return cluster


def steps(stack: Stack) -> list[str]:
    """Bring it up and give the titles of what was done, in order."""
    lines = stack.run("up", str(stack.file), "--yes").stderr.splitlines()
    return [line.partition(": ")[2] for line in lines if ": " in line]


def test_what_a_reload_changes_restarts_nothing(stack: Stack) -> None:
    """A parameter, a timing, pg_hba and the load balancer's timeouts, and back again."""
    before = members(stack).started()
    patroni = {name: mains(stack, name, "patroni") for name in before}
    (haproxy,) = mains(stack, "load-balancer-1", "haproxy")
    default = str(members(stack).setting("postgres-1", "work_mem"))
    hba = ["local all all scram-sha-256", "hostssl all all 127.0.0.0/8 scram-sha-256"]
    hba += ["hostssl replication replicator 127.0.0.0/8 scram-sha-256"]
    with writing(stack.dsn()) as ledger:
        stack.write(
            changed(
                postgres={
                    "parameters": {"max_connections": 60, "work_mem": "7MB"},
                    "pg_hba": [*hba, "hostssl app app 10.9.8.0/24 scram-sha-256"],
                },
                timings={
                    "target": "40s",
                    "ttl": 31,
                    "idle": "23h",
                    "balancer_tcp": {"user_timeout": 9000},
                    "client": {"connect_timeout": 9},
                },
            )
        )
        changes = stack.plan()
        assert set(changes) == {
            f"patroni.{stack.name}",
            *(f"machine.{name}" for name in (*before, "load-balancer-1")),
        }
        assert {change["effect"] for change in changes.values()} == {"reload"}
        stack.up()
        found = members(stack)
        # Members take up in rounds of their own what has been changed.
        eventually(lambda: {found.setting(name, "work_mem") for name in before} == {"7MB"})
        config = found.api("postgres-1").config()
        assert (config["ttl"], config["loop_wait"], config["retry_timeout"]) == (31, 2, 10)
        assert stack.dsn().endswith("connect_timeout=9")
        lines = "SELECT count(*) FROM pg_hba_file_rules WHERE address = '10.9.8.0'"
        eventually(lambda: {found.one(name, lines) for name in before} == {1})
        assert stack.plan() == {}
        stack.write(CLUSTER)
        stack.up()
        eventually(lambda: found.setting("postgres-1", "work_mem") == default)
        assert found.api("postgres-1").config()["ttl"] == 20
    assert stack.plan() == {}
    assert ledger.errors == []
    assert members(stack).started() == before
    assert patroni == {name: mains(stack, name, "patroni") for name in before}
    assert haproxy in mains(stack, "load-balancer-1", "haproxy")


def test_a_restart_takes_standbys_first_and_the_leader_after_a_switchover(stack: Stack) -> None:
    leader = stack.leader()
    before = members(stack).started()
    stack.write(changed(postgres={"parameters": {"max_connections": 70}}))
    with writing(stack.dsn()) as ledger:
        done = steps(stack)
    order = [title.split()[-1] for title in done if title.startswith("restart PostgreSQL")]
    over = [title for title in done if title.startswith("switch over from")]
    assert sorted(order) == sorted(set(before) - {leader})
    assert len(over) == 1
    assert over[0].startswith(f"switch over from {leader} to ")
    assert done.index(over[0]) > max(done.index(t) for t in done if t.startswith("restart Post"))
    assert stack.leader() != leader
    after = members(stack).started()
    assert max(after, key=lambda name: after[name]) == leader
    assert all(after[name] > before[name] for name in before)
    assert {members(stack).setting(name, "max_connections") for name in before} == {"70"}
    assert stack.plan() == {}
    assert ledger.longest_gap < 15


def test_max_connections_is_lowered_on_the_primary_first(stack: Stack) -> None:
    leader = stack.leader()
    stack.write(changed(postgres={"parameters": {"max_connections": 50}}))
    with writing(stack.dsn()):
        done = [t for t in steps(stack) if t.startswith(("restart PostgreSQL", "switch over"))]
    assert done[0] == f"restart PostgreSQL of {leader} (lowered on the primary first)"
    found = members(stack)
    # A standby that had not replayed the leader's new value yet is restarted once more.
    standbys = set(found.postgres) - {leader}
    assert set(done[1:]) == {f"restart PostgreSQL of {name}" for name in standbys}
    assert {found.setting(name, "max_connections") for name in found.postgres} == {"50"}
    assert stack.plan() == {}
