"""pgstead killed with SIGKILL before and after every step: a rerun ends in the same place."""

import json
import shutil
import sqlite3
import sys
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from support.ledger import writing
from support.stack import SMALL, Stack, stack_in

pytestmark = pytest.mark.real

KILLER = Path(__file__).parents[1] / "support/killer.py"
QUERY = "SELECT address, status FROM pgstead_resources"
MACHINES = {"etcd-1", "postgres-1", "postgres-2", "load-balancer-1"}
GROWN: dict[str, Any] = {
    "postgres": {"members": 3, "parameters": {"max_connections": 120, "work_mem": "8MB"}},
    "etcd": {"members": 2},
    "load_balancer": {"members": 1, "max_connections": 500},
}
SHRUNK: dict[str, Any] = {**SMALL, "postgres": {**GROWN["postgres"], "members": 2}}


def killed_at_every_step(stack: Stack, *words: str) -> set[str]:
    """Run a command until nothing kills it any more; the points at which it was killed."""
    command = (sys.executable, str(KILLER))
    done = stack.run(words[0], str(stack.file), *words[1:], "--yes", command=command)
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["code"] == 0, f"{done.stderr}\n{told['killed']}"
    killed = list(told["killed"])
    assert len(killed) == len(set(killed))
    return set(killed)


def both(steps: set[str]) -> set[str]:
    return {f"{when} {step}" for when in ("before", "after") for step in steps}


def rows(stack: Stack) -> dict[str, str]:
    """Everything that the state knows of, and its status."""
    with sqlite3.connect(stack.folder / f".pgstead/{stack.name}.db") as database:
        found = dict(database.execute(QUERY).fetchall())
    database.close()
    return found


def assert_whole(stack: Stack, machines: set[str]) -> None:
    """The same end as if nothing had happened."""
    assert stack.plan() == {}
    status = stack.status()
    assert status["whole"], status["problems"]
    clusters = {f"{kind}.{stack.name}" for kind in ("etcd", "patroni", "postgres")}
    wanted = {*(f"machine.{name}" for name in machines), *clusters}
    assert rows(stack) == dict.fromkeys(wanted, "ready")
    assert {each.name for each in (stack.root / "machines").iterdir()} == machines
    assert_no_orphan(stack, machines)


def assert_no_orphan(stack: Stack, machines: set[str]) -> None:
    """Every process descends from the one supervisor, which has one child per machine.

    But for PostgreSQL, which Patroni starts on its own feet: one on each of its machines.
    """
    processes = stack.processes()
    (supervisor,) = [one for one in processes if "supervisor.supervisord" in one.cmdline()]
    family = {supervisor.pid, *(child.pid for child in supervisor.children(recursive=True))}
    others = [one for one in processes if one.pid not in family]
    postmasters = [one for one in others if one.ppid() not in {each.pid for each in others}]
    assert {one.name() for one in others} == {"postgres"}
    assert homes(stack, postmasters) == sorted(m for m in machines if m.startswith("postgres-"))
    assert homes(stack, supervisor.children()) == sorted(machines)


def homes(stack: Stack, processes: list[psutil.Process]) -> list[str]:
    """The machines in whose folders the processes work."""
    places = [Path(one.cwd()) for one in processes]
    root = stack.root / "machines"
    inside = [place.relative_to(root).parts for place in places if place.is_relative_to(root)]
    return sorted(parts[0] for parts in inside if parts)


@pytest.mark.xdist_group("crash-up")
def test_up_and_destroy(own_folder: Path) -> None:
    with stack_in(own_folder, "c-up") as stack:
        stack.write(SMALL)
        killed = killed_at_every_step(stack, "up")
        assert killed >= both(
            {
                "machine.etcd-1: lay down the files of etcd-1",
                "machine.load-balancer-1: start load-balancer-1",
                "machine.postgres-2: wait until postgres-2 is ready",
                "etcd.c-up: users and authentication of etcd cluster c-up",
                "patroni.c-up: wait until Patroni cluster c-up is complete",
                "patroni.c-up: write all data to disk",
                "postgres.c-up: roles and databases",
                "StoredMaterials.save",
                "StoredMaterials.mark_applied",
            }
        )
        assert_whole(stack, MACHINES)
        root = stack.root
        with psycopg.connect(stack.dsn(), autocommit=True) as session:
            session.execute("CREATE TABLE kept AS SELECT 42 AS id")
        assert_kept(stack, root)
        stack.up()
        with psycopg.connect(stack.dsn()) as session:
            assert session.execute("SELECT id FROM kept").fetchone() == (42,)


def assert_kept(stack: Stack, root: Path) -> None:
    """Destroyed without a word about data: it is there once, and nothing else."""
    killed = killed_at_every_step(stack, "destroy")
    assert {f"after machine.{name}: stop {name}" for name in MACHINES} <= killed
    assert both({"LocalPlatform.dispose"}) <= killed
    assert not stack.processes()
    assert rows(stack) == {}
    assert [each.name for each in root.iterdir()] == ["machines"]
    kept = {each.name for each in (root / "machines").iterdir()}
    assert kept == MACHINES - {"load-balancer-1"}
    assert len(list(root.rglob("PG_VERSION"))) >= 2


@pytest.mark.xdist_group("crash-change")
def test_changes_and_destroy_with_data(own_folder: Path) -> None:
    with stack_in(own_folder, "c-change") as stack:
        stack.write(SMALL)
        stack.up()
        with writing(stack.dsn()):
            stack.write(GROWN)
            killed = killed_at_every_step(stack, "up")
        assert killed >= both(
            {
                "patroni.c-change: set postgresql.parameters.max_connections",
                "machine.etcd-2: announce etcd-2 to etcd cluster c-change as a learner",
                "machine.etcd-2: promote etcd-2 to a voting member",
                "machine.postgres-3: write postgres-3's data to disk",
                "machine.load-balancer-1: reload haproxy",
                "machine.postgres-1: reload patroni",
            }
        )
        for step in ("restart PostgreSQL of postgres-", "switch over from postgres-"):
            assert any(point.startswith(f"after patroni.c-change: {step}") for point in killed)
        assert_whole(stack, {*MACHINES, "etcd-2", "postgres-3"})
        with writing(stack.dsn()):
            stack.write(SHRUNK)
            killed = killed_at_every_step(stack, "up")
        assert killed >= both(
            {
                "machine.etcd-2: remove etcd-2 from etcd cluster c-change",
                "machine.postgres-3: stop postgres-3",
                "machine.postgres-3: drop the replication slot of postgres-3",
            }
        )
        assert_whole(stack, MACHINES)
        shutil.rmtree(stack.root / "kept")
        killed_at_every_step(stack, "destroy", "--delete-data")
        assert not stack.processes()
        assert rows(stack) == {}
        assert not list(Path("/var/lib/pgstead").glob(f"{stack.name}-*"))
