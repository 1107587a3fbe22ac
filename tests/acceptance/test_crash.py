"""pgstead killed with SIGKILL before and after every step: a rerun ends in the same place."""

import shutil
import sqlite3
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from pgstead.platforms.local.supervisor import SCRIPT
from pgstead.waiting import wait
from support.killed import killed_at_every_step
from support.ledger import writing
from support.stack import SMALL, Stack, stack_in

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

DEADLINE = 600.0
"""Seconds for a command that is begun some dozens of times, where others get four minutes."""

QUERY = "SELECT address, status FROM pgstead_resources"
MACHINES = {"etcd-1", "postgres-1", "postgres-2", "load-balancer-1"}
GROWN: dict[str, Any] = {
    "postgres": {"members": 3, "parameters": {"max_connections": 120, "work_mem": "8MB"}},
    "etcd": {"members": 2},
    "load_balancer": {"members": 1, "max_connections": 500},
}
SHRUNK: dict[str, Any] = {**SMALL, "postgres": {**GROWN["postgres"], "members": 2}}
NONE = {"enabled": False}
"""No sentinel: its machine's steps are as any other's."""


@dataclass(frozen=True)
class Family:
    """The homes of the supervisor's children, and who does not descend from it."""

    postmasters: list[str]
    services: list[str]
    orphans: set[int] = field(default_factory=set)


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
    stack.becomes_whole()  # the last run may have found nothing to do, and waited for nothing
    clusters = {f"{kind}.{stack.name}" for kind in ("etcd", "patroni", "postgres")}
    wanted = {*(f"machine.{name}" for name in machines), *clusters}
    assert rows(stack) == dict.fromkeys(wanted, "ready")
    assert {each.name for each in (stack.root / "machines").iterdir()} == machines
    assert_no_orphan(stack, machines)


def assert_no_orphan(stack: Stack, machines: set[str]) -> None:
    """Every process descends from the one supervisor, which has one child per machine.

    And PostgreSQL, which Patroni lets go of and the supervisor takes: one per machine of its own.
    """
    wanted = Family(sorted(m for m in machines if m.startswith("postgres-")), sorted(machines))
    seen: list[Family] = []

    def none() -> bool:
        with suppress(psutil.NoSuchProcess):  # some live for milliseconds: then another look
            seen[:] = [family(stack)]
        return seen == [wanted]

    wait(none, deadline=10, what=f"{wanted}", error=lambda: f"{seen}")


def family(stack: Stack) -> Family:
    processes = stack.processes()
    (supervisor,) = [one for one in processes if SCRIPT in " ".join(one.cmdline())]
    descendants = {supervisor.pid, *(child.pid for child in supervisor.children(recursive=True))}
    children = supervisor.children()
    postmasters = [one for one in children if one.name() == "postgres"]
    services = [one for one in children if one not in postmasters]
    orphans = {one.pid for one in processes} - descendants
    return Family(homes(stack, postmasters), homes(stack, services), orphans)


def homes(stack: Stack, processes: list[psutil.Process]) -> list[str]:
    """The machines in whose folders the processes work."""
    places = [Path(one.cwd()) for one in processes]
    root = stack.root / "machines"
    inside = [place.relative_to(root).parts for place in places if place.is_relative_to(root)]
    return sorted(parts[0] for parts in inside if parts)


@pytest.mark.xdist_group("crash-up")
def test_up_and_destroy(own_folder: Path) -> None:
    with stack_in(own_folder, "c-up", deadline=DEADLINE) as stack:
        stack.write(SMALL, sentinel=NONE)
        killed = killed_at_every_step(stack, "up")
        assert killed >= both(
            {
                "machine.etcd-1: lay down the files of etcd-1",
                "machine.load-balancer-1: start load-balancer-1",
                "machine.postgres-2: wait until postgres-2 is ready",
                f"etcd.{stack.name}: users and authentication of etcd cluster {stack.name}",
                f"patroni.{stack.name}: wait until Patroni cluster {stack.name} is complete",
                f"patroni.{stack.name}: write all data to disk",
                f"postgres.{stack.name}: roles and databases",
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
    with stack_in(own_folder, "c-change", deadline=DEADLINE) as stack:
        stack.write(SMALL, sentinel=NONE)
        stack.up()
        with writing(stack.dsn()):
            stack.write(GROWN, sentinel=NONE)
            killed = killed_at_every_step(stack, "up")
        assert killed >= both(
            {
                f"patroni.{stack.name}: set postgresql.parameters.max_connections",
                f"machine.etcd-2: announce etcd-2 to etcd cluster {stack.name} as a learner",
                "machine.etcd-2: promote etcd-2 to a voting member",
                "machine.postgres-3: write postgres-3's data to disk",
                "machine.load-balancer-1: reload haproxy",
                "machine.postgres-1: reload patroni",
            }
        )
        for step in ("restart PostgreSQL of postgres-", "switch over from postgres-"):
            assert any(point.startswith(f"after patroni.{stack.name}: {step}") for point in killed)
        assert_whole(stack, {*MACHINES, "etcd-2", "postgres-3"})
        with writing(stack.dsn()):
            stack.write(SHRUNK, sentinel=NONE)
            killed = killed_at_every_step(stack, "up")
        assert killed >= both(
            {
                f"machine.etcd-2: remove etcd-2 from etcd cluster {stack.name}",
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
