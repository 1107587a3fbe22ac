"""Freeing space in etcd: the order, who is waited for, and runs that were stopped anywhere."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from pgstead.clients.etcd import EtcdClient
from pgstead.clients.etcd_maintenance import Alarm
from pgstead.clusters import etcd_defrag
from pgstead.clusters.etcd_space import Do, Holder, next_member, order
from pgstead.clusters.groups import EtcdCluster
from pgstead.errors import NotReady
from pgstead.membership import EtcdMember, TlsClient

TLS = TlsClient("ca", "crt", "key")
THREE = tuple(Holder(f"etcd-{n}", n, leader=1, size=100, used=10, revision=50) for n in (1, 2, 3))
CLUSTER = EtcdCluster(
    "main", {f"etcd-{n}": EtcdMember("main", f"etcd-{n}", f"10.0.0.{n}", TLS) for n in (1, 2, 3)}
)


def test_the_leader_is_last() -> None:
    assert [one.machine for one in order(THREE)] == ["etcd-2", "etcd-3", "etcd-1"]
    assert next_member(THREE, ()).machine == "etcd-2"
    assert next_member(THREE, {"etcd-2", "etcd-3"}).machine == "etcd-1"
    assert next_member(THREE, {"etcd-1", "etcd-2", "etcd-3"}).do is Do.DONE


def test_a_leader_that_changes_meanwhile_is_still_last() -> None:
    moved = tuple(replace(one, leader=3) for one in THREE)
    assert next_member(moved, {"etcd-2"}).machine == "etcd-1"


@pytest.mark.parametrize("machine", ["etcd-1", "etcd-2", "etcd-3"])
def test_nothing_is_done_while_one_is_away(machine: str) -> None:
    seen = tuple(Holder(machine) if one.machine == machine else one for one in THREE)
    found = next_member(seen, ())
    assert (found.do, found.reason) == (Do.WAIT, f"not healthy: {machine}")


def test_nothing_is_done_while_they_disagree_on_who_leads() -> None:
    seen = (replace(THREE[0], leader=2), *THREE[1:])
    assert "do not agree" in next_member(seen, ()).reason


def test_a_member_alone_is_its_own_leader() -> None:
    assert next_member(THREE[:1], ()).machine == "etcd-1"


@dataclass
class FakeEtcd:
    """A cluster in memory; `log` is what was done, `away` who does not answer."""

    holders: dict[str, Holder] = field(default_factory=lambda: {one.machine: one for one in THREE})
    alarms: list[Alarm] = field(default_factory=lambda: [Alarm(2, "NOSPACE"), Alarm(3, "CORRUPT")])
    log: list[str] = field(default_factory=list)
    away: set[str] = field(default_factory=set)
    returns: int = 0

    def observe(self, cluster: EtcdCluster) -> tuple[Holder, ...]:
        assert cluster is CLUSTER
        found = self.holders.items()
        return tuple(Holder(name) if name in self.away else one for name, one in found)

    def compact(self, client: EtcdClient, host: str, port: int, revision: int) -> None:
        assert client.endpoints == [(host, port)]
        self.log.append(f"compact {host} {revision}")

    def defragment(self, client: EtcdClient, host: str, port: int) -> None:
        del client, port
        name = f"etcd-{host.rpartition('.')[2]}"
        self.log.append(f"defragment {name}")
        one = self.holders[name]
        self.holders[name] = replace(one, size=one.used)

    def raised(self, client: EtcdClient) -> tuple[Alarm, ...]:
        del client
        return tuple(self.alarms)

    def disarm(self, client: EtcdClient, alarm: Alarm) -> None:
        del client
        self.log.append(f"disarm {alarm.member}")
        if not self.returns:
            self.alarms.remove(alarm)


@pytest.fixture
def etcd(monkeypatch: pytest.MonkeyPatch) -> FakeEtcd:
    """In place of the calls to real members; nothing waits for long."""
    fake = FakeEtcd()

    def client(_cluster: EtcdCluster, _previous: object, *, endpoints: object = ()) -> EtcdClient:
        return EtcdClient(list(endpoints), TLS)  # type: ignore[call-overload]

    monkeypatch.setattr(etcd_defrag, "as_root", client)
    monkeypatch.setattr(etcd_defrag, "observe", fake.observe)
    monkeypatch.setattr(etcd_defrag, "compact", fake.compact)
    monkeypatch.setattr(etcd_defrag, "defragment", fake.defragment)
    monkeypatch.setattr(etcd_defrag, "alarms", fake.raised)
    monkeypatch.setattr(etcd_defrag, "disarm", fake.disarm)
    monkeypatch.setattr(etcd_defrag, "SETTLED_SECONDS", 0.4)
    return fake


ALL = [
    "compact 10.0.0.1 50",
    "defragment etcd-2",
    "defragment etcd-3",
    "defragment etcd-1",
    "disarm 2",
]


def run(steps: int | None = None) -> list[str]:
    """The titles of so many steps, done one after another."""
    titles = []
    for at, step in enumerate(etcd_defrag.free_space(CLUSTER, lambda _key: ())):
        if at == steps:
            break
        step.run()
        titles.append(step.title)
    return titles


def test_history_then_followers_then_the_leader_then_the_alarm(etcd: FakeEtcd) -> None:
    titles = run()
    assert etcd.log == ALL
    assert titles[0] == "compact etcd cluster main to its current revision"
    assert titles[3] == "defragment etcd-1, the leader"
    assert etcd.alarms == [Alarm(3, "CORRUPT")], "an alarm of another kind is for a person"
    assert {one.size for one in etcd.holders.values()} == {10}


@pytest.mark.parametrize("steps", range(6))
def test_a_run_stopped_anywhere_is_finished_by_the_next(etcd: FakeEtcd, steps: int) -> None:
    run(steps)
    etcd.log.clear()
    run()
    assert etcd.log == ALL[: 5 if steps < 5 else 4], "the alarm is disarmed once"
    assert etcd.alarms == [Alarm(3, "CORRUPT")]


@pytest.mark.parametrize(("uses", "looks"), [([90, 50, 10, 10], 4), ([90, 91, 95], 2)])
def test_history_is_dropped_once_no_use_goes_down_any_more(
    etcd: FakeEtcd, monkeypatch: pytest.MonkeyPatch, uses: list[int], looks: int
) -> None:
    seen: list[int] = []

    def observe(_cluster: EtcdCluster) -> tuple[Holder, ...]:
        if etcd.log:
            seen.append(uses[min(len(seen), len(uses) - 1)])
        return tuple(replace(one, used=seen[-1] if seen else 100) for one in THREE)

    monkeypatch.setattr(etcd_defrag, "observe", observe)
    monkeypatch.setattr(etcd_defrag, "SETTLED_SECONDS", 5.0)
    next(etcd_defrag.free_space(CLUSTER, lambda _key: ())).run()
    assert len(seen) == looks


def test_a_member_that_goes_away_meanwhile_stops_it(etcd: FakeEtcd) -> None:
    steps = etcd_defrag.free_space(CLUSTER, lambda _key: ())
    next(steps).run()
    first = next(steps)
    etcd.away.add("etcd-3")
    with pytest.raises(NotReady, match=r"etcd-2 is not defragmented: not healthy: etcd-3"):
        first.run()
    assert etcd.log == ALL[:1]


def test_a_member_that_is_away_is_waited_for_before_anything(etcd: FakeEtcd) -> None:
    etcd.away.add("etcd-2")
    first = next(etcd_defrag.free_space(CLUSTER, lambda _key: ()))
    assert first.title == "wait for etcd cluster main: not healthy: etcd-2"
    etcd.away.clear()
    first.run()
    assert etcd.log == []


def test_an_alarm_that_comes_back_says_what_to_do(etcd: FakeEtcd) -> None:
    etcd.returns = 1
    with pytest.raises(NotReady, match=r"raise etcd\.space_quota"):
        run()
