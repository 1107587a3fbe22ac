"""New passwords and certificates for a cluster that serves; its clients notice nothing."""

import secrets
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import yaml

from support.ledger import writing
from support.members import eventually, mains, members, serials
from support.stack import SMALL, Stack, stack_in

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("rotation")]

NAMES = ("superuser", "replication", "rewind", "application", "etcd-root", "etcd-patroni")

DIES_BEFORE_ETCD = """
import os, signal, sys
from pgstead.cli import main
from pgstead.clusters import etcd
etcd.converge = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
sys.argv = ["pgstead", *sys.argv[1:]]
main()
"""


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    with stack_in(folder, "t-rotation") as made:
        made.write(SMALL)
        made.up()
        yield made


def new_passwords(stack: Stack) -> dict[str, str]:
    chosen = {name: secrets.token_urlsafe(24) for name in NAMES}
    stack.write(SMALL, passwords={name: {"value": each} for name, each in chosen.items()})
    return chosen


def servers(stack: Stack) -> dict[str, set[int]]:
    """The servers' main processes."""
    names = {"postgres-1": "postgres", "postgres-2": "postgres", "etcd-1": "etcd"}
    found = {machine: mains(stack, machine, name) for machine, name in names.items()}
    patroni = {f"{m} patroni": mains(stack, m, "patroni") for m in ("postgres-1", "postgres-2")}
    return {**found, **patroni}


def test_all_passwords_change_at_once_and_no_write_fails(stack: Stack) -> None:
    before, leader, dsn = servers(stack), stack.leader(), stack.dsn()
    with writing(dsn) as ledger:
        chosen = new_passwords(stack)
        assert stack.dsn() == dsn  # not yet another password, in the file it names either
        assert chosen["application"] not in stack.dsn("--with-password")
        with psycopg.connect(dsn):
            pass
        changes = stack.plan()
        assert set(changes) == {
            f"postgres.{stack.name}",
            "machine.postgres-1",
            "machine.postgres-2",
            f"etcd.{stack.name}",
        }
        assert {change["effect"] for change in changes.values()} == {"reload"}
        stack.up()
        stack.becomes_whole()
    assert ledger.errors == []
    assert ledger.longest_gap < 1.5
    assert (servers(stack), stack.leader()) == (before, leader)
    assert stack.plan() == {}
    assert chosen["application"] in stack.dsn("--with-password")
    assert members(stack).etcd.accepts("patroni", chosen["etcd-patroni"])
    assert members(stack).etcd.accepts("root", chosen["etcd-root"])
    assert rejected(stack, leader)


def rejected(stack: Stack, machine: str) -> bool:
    """Whether a wrong password is refused: what works is a password, not trust."""
    member = members(stack).postgres[machine]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(
            host=member.address, user="app", password="former", dbname="app", sslmode="require"
        )
    return True


def test_killed_between_the_files_and_etcd_it_serves_on_and_a_rerun_ends_it(stack: Stack) -> None:
    before, leader = servers(stack), stack.leader()
    with writing(stack.dsn()) as ledger:
        new_passwords(stack)
        command = (sys.executable, "-c", DIES_BEFORE_ETCD)
        stack.run("up", str(stack.file), "--yes", code=-signal.SIGKILL, command=command)
        assert set(stack.plan()) == {f"etcd.{stack.name}"}
        rounds = int(members(stack).api(leader).config()["ttl"]) // 4
        seen = len(ledger.acknowledged)
        eventually(lambda: len(ledger.acknowledged) > seen + 40 * rounds, 60)
        stack.up()
    assert ledger.errors == []
    assert ledger.longest_gap < 1.5
    assert (servers(stack), stack.leader()) == (before, leader)
    assert stack.plan() == {}


def test_after_a_rotation_members_start_and_rejoin(stack: Stack) -> None:
    """The new passwords work where a member logs in anew."""
    stack.becomes_whole()
    with writing(stack.dsn()):
        stack.run("switchover", str(stack.file), "--yes")
        standby = next(name for name, role in stack.roles().items() if role != "leader")
        stack.run("stop", str(stack.file), standby, "--yes", code=None)
        stack.run("start", str(stack.file), standby)
        stack.becomes_whole()
    assert stack.plan() == {}


def test_certificates_are_renewed_without_a_restart(stack: Stack) -> None:
    before, leader, old = servers(stack), stack.leader(), serials(stack)
    (haproxy,) = mains(stack, "load-balancer-1", "haproxy")
    document = yaml.safe_load(stack.run("expand", str(stack.file)).stdout)
    for module in document["modules"].values():
        module["certificate_validity_period"] = 4000
    with writing(stack.dsn()) as ledger:
        stack.file.write_text(yaml.safe_dump(document, sort_keys=False))
        changes = stack.plan()
        assert {change["effect"] for change in changes.values()} == {"reload"}
        assert len(changes) == 4
        stack.up()
        # HAProxy's new worker takes over a moment after it was told to.
        eventually(lambda: all(new != old[place] for place, new in serials(stack).items()))
    assert ledger.errors == []
    assert ledger.longest_gap < 1.5
    assert (servers(stack), stack.leader()) == (before, leader)
    assert haproxy in mains(stack, "load-balancer-1", "haproxy")
    assert stack.plan() == {}
    stack.becomes_whole()
