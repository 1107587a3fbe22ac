"""Clients and cluster providers against real etcd, Patroni, PostgreSQL and HAProxy.

The tests share one set of servers and run in the order in which they stand.
"""

from __future__ import annotations

import copy
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from acceptance.lab import SETTINGS, Lab, missing
from acceptance.lab_platform import LabPlatform
from pgstead.clients.etcd import EtcdClient, EtcdError, Permission
from pgstead.clients.haproxy import HaproxyClient
from pgstead.clients.http import Unreachable
from pgstead.clients.patroni import PatroniClient
from pgstead.clients.postgres import Login, PostgresClient, WrongPassword, connect
from pgstead.clusters import lowering
from pgstead.clusters.etcd import EtcdProvider
from pgstead.clusters.groups import group
from pgstead.clusters.health import health
from pgstead.clusters.machines import MachineProvider
from pgstead.clusters.patroni import PatroniProvider
from pgstead.clusters.postgres import PostgresProvider, find_primary, targets
from pgstead.engine.resource import (
    Data,
    Present,
    Provider,
    Recorded,
    Resource,
    Steps,
    Unknown,
)
from pgstead.errors import ClientError, Refused
from pgstead.machine import Machine, OnChange
from pgstead.waiting import wait

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(missing() is not None, reason=missing() or ""),
    pytest.mark.xdist_group("lab"),
]

ETCD = ("etcd-1", "etcd-2", "etcd-3")
RELOAD, RESTART = OnChange.RELOAD, OnChange.RESTART


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class Stack:
    """A lab's machines, what is recorded of them, and their providers."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.platform = lab, LabPlatform(lab)
        self.machines: dict[str, Machine] = {}
        self.recorded: dict[str, Recorded] = {}
        self.previous: dict[str, str] = {}
        self.titles: list[str] = []

    def want(self, *names: str, **options: Any) -> None:
        """The machines that should be there; `options` are those of Patroni members."""
        self.machines = {
            name: self.platform.machine(name, **(options if name.startswith("pg") else {}))
            for name in names
        }

    @property
    def resources(self) -> dict[str, Resource]:
        machines = self.machines.values()
        made = lowering.annotate(self.platform.lower(machines, digest), machines)
        return {r.address: r for r in (*made, *lowering.lower(machines, digest))}

    def earlier(self, name: str) -> tuple[str, ...]:
        return (self.previous[name],) if name in self.previous else ()

    def provider(self, address: str) -> Provider:
        groups = group(self.machines.values())
        platform: Any = self.platform
        known: dict[str, Any] = {"recorded": dict(self.recorded)}
        secret: dict[str, Any] = {**known, "previous": self.earlier}
        makers: dict[str, Callable[[], Provider]] = {
            "machine": lambda: MachineProvider(platform, self.machines.values(), digest, **secret),
            "etcd": lambda: EtcdProvider(groups.etcd, digest, **secret),
            "patroni": lambda: PatroniProvider(groups.patroni, platform, **known),
            "postgres": lambda: PostgresProvider(groups, platform, digest, **secret),
        }
        return makers[address.partition(".")[0]]()

    def record(self, address: str, status: str = "ready") -> None:
        r = self.resources[address]
        self.recorded[address] = Recorded(
            address, r.kind, r.values, status, r.after, r.place, holds_data=True
        )

    def run(self, steps: Steps) -> list[str]:
        titles = []
        for step in steps:
            titles.append(step.title)
            step.run()
        return titles

    def create(self, address: str) -> list[str]:
        recorded = self.recorded.get(address)
        titles = self.run(self.provider(address).create(self.resources[address], recorded=recorded))
        self.record(address)
        return titles

    def update(self, address: str, **changed: OnChange) -> list[str]:
        return self.run(self.provider(address).update(self.resources[address], changed))

    def delete(self, name: str) -> list[str]:
        """The machine of that name, which is wanted no more."""
        recorded = self.recorded[f"machine.{name}"]
        titles = self.run(self.provider(recorded.address).delete(recorded, data=Data.DELETE))
        del self.recorded[recorded.address]
        return titles

    def wrong(self, address: str) -> dict[str, object]:
        """What is observed where it is not what it should be."""
        resource = self.resources[address]
        seen = self.provider(address).observe({address: resource})[address]
        assert isinstance(seen, Present), seen
        wanted = resource.values
        keys = sorted({*wanted, *seen.values})
        return {k: seen.values.get(k) for k in keys if seen.values.get(k) != wanted.get(k)}

    # -- clients

    @property
    def etcd(self) -> EtcdClient:
        at = [(self.lab.address(name), 2379) for name in ETCD]
        return EtcdClient(at, self.lab.operator, "root", "etcd-root-secret")

    def patroni(self, name: str) -> PatroniClient:
        return PatroniClient(self.lab.address(name), 4443, self.lab.operator)

    def postgres(
        self, name: str, user: str = "postgres", password: str = "super-secret"
    ) -> AbstractContextManager[PostgresClient]:
        address, ca = self.lab.address(name), self.lab.operator.ca
        return connect(Login(address, 5432, user, password, ca))

    @property
    def primary(self) -> str:
        found = find_primary(targets(group(self.machines.values()))["postgres.lab"])
        assert found is not None
        return found


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    lab = Lab(Path(tempfile.mkdtemp(prefix="pgstead-lab-")), patroni=3)
    try:
        yield Stack(lab)
    finally:
        lab.close()


def test_etcd_bootstraps_and_takes_a_member_that_was_interrupted(stack: Stack) -> None:
    stack.want(*ETCD, "pg-1", "pg-2")
    address = "etcd.lab"
    assert stack.provider(address).observe({address: stack.resources[address]}) == {address: None}
    with pytest.raises(Unreachable, match="etcd does not answer"):
        stack.etcd.status()
    for name in ETCD[:2]:
        stack.lab.start(name)
    wait(lambda: stack.etcd.health(stack.lab.address("etcd-1"), 2379).ok, deadline=30, what="etcd")
    for name in ETCD:
        stack.record(f"machine.{name}", "creating")
    stack.create("machine.etcd-3")
    for name in ETCD:
        stack.record(f"machine.{name}")
    assert [(m.name, m.started) for m in sorted(stack.etcd.members(), key=lambda m: m.name)] == [
        (name, True) for name in ETCD
    ]
    status = stack.etcd.status()
    assert status.leader in {member.id for member in stack.etcd.members()}
    assert status.version == stack.etcd.version()


def test_etcd_users(stack: Stack) -> None:
    assert not stack.etcd.authentication_enabled()
    assert stack.wrong("etcd.lab")["authentication"] == "off"
    stack.create("etcd.lab")
    assert stack.etcd.authentication_enabled()
    assert stack.wrong("etcd.lab") == {}
    own = EtcdClient(stack.etcd.endpoints, stack.lab.operator, "patroni", "etcd-patroni-secret")
    assert own.range("/service/lab/") == ()
    with pytest.raises(EtcdError, match="permission denied"):
        own.range("/service/other/")
    stack.etcd.user_change_password("patroni", "by-hand")
    stack.etcd.role_grant("patroni", Permission("/other/"))
    assert stack.wrong("etcd.lab") == {
        "user:patroni": "unknown to pgstead",
        "prefixes:patroni": "/other/, /service/lab/",
    }
    stack.update("etcd.lab")
    assert stack.wrong("etcd.lab") == {}


def test_roots_password_changes_from_the_one_applied_last(stack: Stack) -> None:
    stack.etcd.user_change_password("root", "former-secret")
    with pytest.raises(ClientError, match="refuses root's password"):
        stack.update("etcd.lab")
    stack.previous["etcd.lab/user:root"] = "former-secret"
    assert stack.wrong("etcd.lab") == {"user:root": digest("former-secret")}
    stack.update("etcd.lab")
    assert stack.wrong("etcd.lab") == {}
    stack.previous.clear()


def test_patroni_cluster_becomes_complete(stack: Stack) -> None:
    for address in ("machine.pg-1", "machine.pg-2", "postgres.lab", "patroni.lab"):
        stack.create(address)
    assert stack.wrong("patroni.lab") == {}
    assert stack.wrong("postgres.lab") == {}
    assert health(stack.machines.values()).ok
    view = stack.patroni("pg-1").cluster()
    assert view.leader is not None
    assert sum(member.is_synchronous for member in view.members) == 1
    assert stack.patroni("pg-2").alive()
    assert stack.patroni("pg-2").ready()


def test_haproxy_tells_who_is_the_primary(stack: Stack) -> None:
    stack.lab.start("lb-1")
    client = HaproxyClient(stack.lab.address("lb-1"), 8404, stack.lab.operator)

    def up() -> list[str] | None:
        try:
            return [server.name for server in client.servers() if server.up] or None
        except Unreachable:
            return None

    found = wait(lambda: up() == [stack.primary] or None, deadline=20, what="one server to be up")
    assert found
    with stack.postgres("lb-1", "app", "app-secret") as server:
        assert not server.in_recovery()
    stack.lab.end("lb-1")


def test_errors_of_postgres_hold_no_secret(stack: Stack) -> None:
    with pytest.raises(WrongPassword) as raised, stack.postgres(stack.primary, "app", "nope-nope"):
        pass
    assert "nope" not in raised.value.message


def test_what_was_changed_by_hand_is_seen_and_repaired(stack: Stack) -> None:
    with stack.postgres(stack.primary) as server:
        server.set_password("app", "by-hand")
        server.rows("alter role app superuser")
    with stack.postgres("pg-2") as server:
        server.rows("alter system set work_mem = '9MB'")
    stack.patroni("pg-1").patch_config({"ttl": 33, "maximum_lag_on_failover": 5})
    assert stack.wrong("postgres.lab") == {
        "guc:pg-2:work_mem": "9MB",
        "password:app": "unknown to pgstead",
        "rights:app": "login superuser",
    }
    by_hand = {"setting:maximum_lag_on_failover": 5, "setting:ttl": 33}
    # A member tells of the configuration as it was in its last round.
    wait(lambda: stack.wrong("patroni.lab") == by_hand, deadline=10, what="the news")
    stack.update("postgres.lab", **{"password:app": RELOAD, "guc:pg-2:work_mem": RELOAD})
    stack.update("patroni.lab")
    assert stack.wrong("postgres.lab") == {}
    assert stack.wrong("patroni.lab") == {}


def test_parameters_roll_through_standbys_first_lowered_ones_leader_first(stack: Stack) -> None:
    settings: dict[str, Any] = copy.deepcopy(SETTINGS)
    changed = {"max_connections": 40, "max_worker_processes": 12, "work_mem": "5MB"}
    settings["postgresql"]["parameters"] |= changed
    stack.want(*ETCD, "pg-1", "pg-2", settings=settings)
    leader = stack.primary
    standby = {"pg-1": "pg-2", "pg-2": "pg-1"}[leader]
    done = [t for t in stack.update("patroni.lab") if not t.startswith("wait")]
    prefix = "set postgresql.parameters."
    assert done[:3] == [
        f"{prefix}work_mem: 5MB, postgresql.parameters.max_worker_processes: 12"
        if done[0].startswith(f"{prefix}work_mem")
        else done[0],
        f"restart PostgreSQL of {standby}",
        f"switch over from {leader} to {standby}",
    ]
    assert done[3:5] == [
        f"{prefix}max_connections: 40",
        f"restart PostgreSQL of {standby} (lowered on the primary first)",
    ]
    assert set(done[5:]) == {f"restart PostgreSQL of {leader}"}
    assert stack.wrong("patroni.lab") == {}
    for name in ("pg-1", "pg-2"):
        with stack.postgres(name) as server:
            found = server.settings(changed)
            assert (found["max_connections"].value, found["work_mem"].value) == ("40", "5120")


def test_superusers_password_changes_from_the_one_applied_last(stack: Stack) -> None:
    before = lowering.passwords(stack.machines.values())
    wanted = dict(stack.machines)
    settings = stack.machines["pg-1"].membership.settings  # type: ignore[union-attr]
    stack.want(*wanted, settings=settings, superuser="new-secret")
    stack.previous = before
    assert stack.wrong("postgres.lab") == {"password:postgres": digest("super-secret")}
    stack.update("postgres.lab", **{"password:postgres": RELOAD})
    assert stack.wrong("postgres.lab") == {}
    stack.previous = lowering.passwords(stack.machines.values())
    stack.machines = wanted
    stack.update("postgres.lab", **{"password:postgres": RELOAD})
    assert stack.wrong("postgres.lab") == {}


def test_etcd_member_joins_though_killed_after_every_step(stack: Stack) -> None:
    before = dict(stack.machines)
    stack.machines["etcd-4"] = stack.platform.machine("etcd-4")
    resource = stack.resources["machine.etcd-4"]
    steps: list[str] = []
    for _ in range(12):
        # A new provider each time: it knows what can be observed, and nothing else.
        recorded = stack.recorded.get(resource.address)
        following = stack.provider(resource.address).create(resource, recorded=recorded)
        for allowed, step in enumerate(following):
            if allowed > len(set(steps)):
                break
            stack.record(resource.address, "creating")
            step.run()
            steps.append(step.title)
        else:
            break
    assert any("learner" in title for title in steps)
    assert any("promote" in title for title in steps)
    stack.record(resource.address)
    assert health(stack.machines.values()).ok
    assert not any(member.is_learner for member in stack.etcd.members())

    stack.lab.end("etcd-4", 9)
    shutil.rmtree(stack.lab.path("etcd-4"))
    assert any("data folder is gone" in title for title in stack.create("machine.etcd-4"))
    assert health(stack.machines.values()).ok

    stack.machines = before
    assert any(title.startswith("remove etcd-4") for title in stack.delete("etcd-4"))
    assert len(stack.etcd.members()) == 3


def test_restarts_wait_for_health_and_move_the_leader(stack: Stack) -> None:
    leader = stack.primary
    stack.lab.end("etcd-2")
    assert not health(stack.machines.values()).ok
    machines = stack.machines.values()
    wait(lambda: health(machines, without="etcd-2").ok, deadline=20, what="the others to go on")
    stack.update("machine.etcd-2", **{"running:etcd": RESTART})
    assert health(stack.machines.values()).ok
    titles = stack.update(f"machine.{leader}", **{"file:/etc/patroni/patroni.yml": RESTART})
    assert titles[0].startswith(f"switch over from {leader}") or titles[1].startswith("switch")
    assert stack.primary != leader
    assert health(stack.machines.values()).ok


def test_growing_and_shrinking_keeps_a_synchronous_standby(stack: Stack) -> None:
    both = dict(stack.machines)
    del stack.machines["pg-2"]
    with pytest.raises(Refused, match="no synchronous standby would be left"):
        stack.delete("pg-2")
    settings = both["pg-1"].membership.settings  # type: ignore[union-attr]
    stack.machines = {**both, "pg-3": stack.platform.machine("pg-3", settings=settings)}
    stack.create("machine.pg-3")
    assert health(stack.machines.values()).ok
    leader = stack.primary
    del stack.machines[leader]
    stack.delete(leader)
    assert health(stack.machines.values()).ok
    assert stack.wrong("patroni.lab") == {}
    with stack.postgres(stack.primary) as server:
        assert leader.replace("-", "_") not in {slot.name for slot in server.slots()}


def test_a_cluster_that_lost_all_data_is_not_begun_anew(stack: Stack) -> None:
    names = [name for name in stack.machines if name.startswith("pg")]
    for name in names:
        stack.lab.end(name, 9)
        shutil.rmtree(stack.lab.path(name))
    address = "patroni.lab"
    seen = stack.provider(address).observe({address: stack.resources[address]})[address]
    assert isinstance(seen, Unknown)
    with pytest.raises(Refused, match="all members of Patroni cluster lab are gone"):
        stack.create(f"machine.{names[0]}")
