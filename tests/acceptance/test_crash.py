"""pgstead killed with SIGKILL before and after every step: a rerun ends in the same place."""

import json
import shutil
import sqlite3
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from support.ledger import writing
from support.stack import SMALL, Stack, stack_in

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("crash")]

KILLER = Path(__file__).parents[1] / "support/killer.py"
QUERY = "SELECT address, status FROM pgstead_resources"
MACHINES = {"etcd-1", "postgres-1", "postgres-2", "load-balancer-1"}
GROWN: dict[str, Any] = {
    "postgres": {"members": 3, "parameters": {"max_connections": 60, "work_mem": "8MB"}},
    "etcd": {"members": 2},
    "load_balancer": {"members": 1, "max_connections": 500},
}
SHRUNK: dict[str, Any] = {**SMALL, "postgres": {"members": 2, "parameters": {"work_mem": "16MB"}}}


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
    assert_no_orphan(stack, len(machines))


def assert_no_orphan(stack: Stack, services: int) -> None:
    """Every process descends from the one supervisor, which has one child per service."""
    processes = stack.processes()
    (supervisor,) = [one for one in processes if "supervisor.supervisord" in one.cmdline()]
    family = {supervisor.pid, *(child.pid for child in supervisor.children(recursive=True))}
    assert not [one for one in processes if one.pid not in family]
    assert len(supervisor.children()) == services
    assert all(one.status() != psutil.STATUS_ZOMBIE for one in supervisor.children())


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
            }
        )
        assert_whole(stack, MACHINES)
        root = stack.root
        assert_kept(stack, root)
        shutil.rmtree(root)


def assert_kept(stack: Stack, root: Path) -> None:
    """Destroyed without a word about data: it is there once, and nothing else."""
    killed = killed_at_every_step(stack, "destroy")
    assert {f"after machine.{name}: stop {name}" for name in MACHINES} <= killed
    assert not stack.processes()
    assert rows(stack) == {}
    assert [each.name for each in root.iterdir()] == ["kept"]
    kept = sorted(each.name.rpartition("-")[0] for each in (root / "kept").iterdir())
    assert kept == sorted(MACHINES - {"load-balancer-1"})
    assert len(list(root.rglob("PG_VERSION"))) >= 2


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
        assert any("restart PostgreSQL of postgres-1" in point for point in killed)
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
