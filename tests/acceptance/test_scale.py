"""Members that join, leave and are replaced while a writer loses nothing."""

import copy
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest

from support.ledger import writing
from support.members import eventually, kill, members
from support.stack import QUICKSTART, Stack, stack_in

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("scale")]

ALONE: dict[str, Any] = {
    "postgres": {"members": 1},
    "etcd": {"members": 1},
    "load_balancer": {"members": 0},
}


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    with stack_in(folder, "t-scale") as made:
        made.write(QUICKSTART)
        made.up()
        yield made


def sized(count: int) -> dict[str, Any]:
    cluster = copy.deepcopy(QUICKSTART)
    cluster["postgres"]["members"] = cluster["etcd"]["members"] = count
    return cluster


def of_size(stack: Stack, count: int) -> None:
    """Everybody agrees on who is there."""
    found = members(stack)
    names = {f"postgres-{number}" for number in range(1, count + 1)}
    voters = found.etcd.members()
    assert {m.name for m in voters} == {f"etcd-{number}" for number in range(1, count + 1)}
    assert not any(member.is_learner for member in voters)
    eventually(lambda: found.up("primary") | found.up("read_only") == names)
    assert {s.name for s in found.proxy.servers() if s.proxy == "primary"} == names
    assert {m.name for m in found.api("postgres-1").cluster().members} == names
    stack.becomes_whole()


def test_three_become_five_and_three_again(stack: Stack) -> None:
    with writing(stack.dsn()) as ledger:
        stack.write(sized(5))
        stack.up()
        assert stack.plan() == {}
        of_size(stack, 5)
        assert ledger.errors == []
        # Patroni hands over to none that it has not named, which it does once that streams.
        eventually(lambda: stack.roles()["postgres-5"] == "quorum standby")
        stack.run("switchover", str(stack.file), "--to", "postgres-5", "--yes")
        assert stack.leader() == "postgres-5"
        stack.write(sized(3))
        done = stack.run("up", str(stack.file), "--yes").stderr
        assert "switch over from postgres-5 to " in done
        assert stack.plan() == {}
        of_size(stack, 3)
    assert ledger.longest_gap < 15
    assert not (stack.root / "machines/postgres-5").exists()
    kept = stack.root / "kept"
    assert {place.name.rpartition("-")[0] for place in kept.iterdir()} == {
        "etcd-4",
        "etcd-5",
        "postgres-4",
        "postgres-5",
    }
    shutil.rmtree(kept)


def lose(stack: Stack, machine: str) -> None:
    """Its folder is gone, and everything that ran there."""
    folder = stack.machine(machine)
    shutil.rmtree(folder, ignore_errors=True)
    kill(stack, machine)

    def gone() -> bool:
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()

    eventually(gone)  # PostgreSQL's children outlive it for a moment, and may write


@pytest.mark.parametrize("kind", ["etcd", "standby", "leader"])
def test_a_lost_member_is_made_anew(stack: Stack, kind: str) -> None:
    leader = stack.leader()
    standby = next(name for name in stack.roles() if name != leader)
    machine = {"etcd": "etcd-2", "standby": standby, "leader": leader}[kind]
    with writing(stack.dsn()):
        lose(stack, machine)
        change = stack.plan()[f"machine.{machine}"]
        assert change["action"] == "create"
        assert change["reasons"] == ["was made and is gone: made anew"]
        stack.up()
        assert stack.plan() == {}
        of_size(stack, 3)


@pytest.fixture(scope="module")
def alone() -> Iterator[Stack]:
    with (
        TemporaryDirectory(prefix="pgstead-") as folder,
        stack_in(Path(folder), "t-alone") as made,
    ):
        made.write({**ALONE, "postgres": {"members": 2}})
        made.up()
        yield made


def test_two_become_one_which_led_not(alone: Stack) -> None:
    """Commits wait for nobody from then on, or they would wait for ever."""
    if alone.leader() != "postgres-2":
        alone.run("switchover", str(alone.file), "--to", "postgres-2", "--yes")
    with writing(alone.dsn()) as ledger:
        alone.write(ALONE)
        done = alone.run("up", str(alone.file), "--yes").stderr
        assert "switch over from postgres-2 to postgres-1" in done
        seen = len(ledger.acknowledged)
        eventually(lambda: len(ledger.acknowledged) > seen)
    assert alone.plan() == {}
    alone.becomes_whole()
    shutil.rmtree(alone.root / "kept")


def test_an_only_etcd_member_is_made_anew_only_when_told(alone: Stack) -> None:
    with psycopg.connect(alone.dsn(), autocommit=True) as session:
        session.execute("CREATE TABLE kept AS SELECT 1 AS id")
    lose(alone, "etcd-1")
    refused = alone.run("up", str(alone.file), "--yes", code=None)
    assert refused.returncode not in (0, 70)
    assert "machine.etcd-1 was made and is gone, and with it the only copy" in refused.stderr
    assert "--recreate machine.etcd-1" in refused.stderr
    alone.up("--recreate", "machine.etcd-1")
    alone.becomes_whole()
    assert alone.plan() == {}
    with psycopg.connect(alone.dsn()) as session:
        assert session.execute("SELECT id FROM kept").fetchone() == (1,)


def test_the_loss_of_an_only_postgresql_is_refused(alone: Stack) -> None:
    lose(alone, "postgres-1")
    assert alone.plan()["machine.postgres-1"]["action"] == "refuse"
    refused = alone.run("up", str(alone.file), "--yes", code=None)
    assert refused.returncode != 0
    assert "machine.postgres-1 was made and is gone, and with it the only copy" in refused.stderr
