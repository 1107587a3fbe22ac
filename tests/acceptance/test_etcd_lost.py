"""All of etcd is lost: refused at once, made anew when told, and PostgreSQL never notices."""

import time
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

import pytest

from support.ledger import writing
from support.members import eventually, kill, members
from support.stack import Stack, stack_in

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("etcd-lost")]

ETCD = ("etcd-1", "etcd-2", "etcd-3")


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    with stack_in(folder, "t-etcd-lost") as made:
        made.write(
            {"postgres": {"members": 2}, "etcd": {"members": 3}, "load_balancer": {"members": 1}}
        )
        made.up()
        yield made


def lose(stack: Stack, *machines: str) -> None:
    """Their folders are gone, and everything that ran there."""
    for _ in range(2):  # a supervisor may have written while the first went
        for machine in machines:
            rmtree(stack.machine(machine), ignore_errors=True)
            kill(stack, machine)
    assert not any(stack.machine(machine).exists() for machine in machines)


def refused(stack: Stack) -> str:
    """What `up` says, at once."""
    began = time.monotonic()
    told = stack.run("up", str(stack.file), "--yes", code=1).stderr
    assert time.monotonic() - began < 12  # Patroni's API itself waits for etcd
    return " ".join(told.split())


def test_lost_etcd_is_made_anew_and_no_row_is_lost(stack: Stack) -> None:
    name = f"etcd.{stack.name}"
    stack_members = members(stack)
    leader, started = stack.leader(), stack_members.started()
    with writing(stack.dsn()) as ledger:
        lose(stack, *ETCD)
        said = refused(stack)
        assert f"{', '.join(f'machine.{each}' for each in ETCD)}: was made and is gone" in said
        assert "Patroni's leader key, dynamic configuration and history" in said
        assert "PostgreSQL's own data is untouched" in said
        assert said.endswith(f"--recreate {name}")
        assert all(stack.plan()[f"machine.{each}"]["action"] == "refuse" for each in ETCD)
        changed = stack.up("--recreate", name)["changed"]
        assert {name, *(f"machine.{each}" for each in ETCD)} <= set(changed)
        assert stack.status()["whole"]
        seen = len(ledger.acknowledged)
        eventually(lambda: len(ledger.acknowledged) > seen)
    assert stack.plan() == {}
    assert stack_members.started() == started
    assert stack.leader() == leader
    assert stack_members.api("postgres-1").config()["ttl"] == 20
    assert {m.name for m in stack_members.etcd.members()} == set(ETCD)
    assert stack_members.etcd.authentication_enabled()
    assert ledger.longest_gap < 5
