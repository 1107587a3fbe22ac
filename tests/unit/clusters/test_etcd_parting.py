"""A member of etcd whose data goes with its machine leaves before the machine does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest

from pgstead.clusters import etcd_machine
from pgstead.clusters.etcd_machine import EtcdMachines
from pgstead.clusters.etcd_membership import Seat, View
from pgstead.clusters.groups import EtcdCluster, group
from pgstead.errors import Refused
from pgstead.machine import Machine, Software
from pgstead.membership import EtcdMember, TlsClient
from pgstead.platforms.base import Platform

TLS = TlsClient("ca", "crt", "key")


def member(number: int) -> Machine:
    name, address = f"etcd-{number}", f"10.0.0.{number}"
    return Machine(name, name, address, Software(), EtcdMember("main", name, address, TLS))


def seat(number: int, *, healthy: bool = True) -> Seat:
    return Seat(number, f"etcd-{number}", f"https://10.0.0.{number}:2380", True, healthy=healthy)


@dataclass(frozen=True)
class Ground:
    """A platform on which a machine's data is kept, or goes with it; None: it cannot tell."""

    data: bool | None

    def keeps_data(self, machine: str) -> bool | None:
        assert machine == "etcd-2"
        return self.data


def titles(
    count: int, monkeypatch: pytest.MonkeyPatch, *seen: Seat, data: bool | None
) -> list[str]:
    """What the replacement of etcd-2, one of so many machines, begins with."""
    machines = [member(number + 1) for number in range(count)]

    def look(others: EtcdCluster) -> View:
        assert "etcd-2" not in others.members, "it may be gone already"
        return View(seen)

    monkeypatch.setattr(etcd_machine, "look", look)
    platform = cast("Platform", Ground(data))
    known = EtcdMachines(platform, group(machines), {}, lambda _: ())
    membership = machines[1].membership
    assert isinstance(membership, EtcdMember)
    return [step.title for step in known.part("etcd-2", membership)]


@pytest.mark.parametrize("count", [2, 3])
def test_it_leaves_while_it_serves(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seats = (seat(number + 1) for number in range(count))
    expected = ["remove etcd-2 from etcd cluster main"]
    assert titles(count, monkeypatch, *seats, data=False) == expected


@pytest.mark.parametrize("data", [True, None])
def test_it_stays_a_member_where_its_data_is_kept(
    monkeypatch: pytest.MonkeyPatch, *, data: bool | None
) -> None:
    assert titles(2, monkeypatch, seat(1), seat(2), data=data) == []


def test_it_has_left_where_a_run_was_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert titles(2, monkeypatch, seat(1), data=False) == []


def test_it_may_not_go_where_too_few_would_be_left(monkeypatch: pytest.MonkeyPatch) -> None:
    seats = (seat(1), seat(2), seat(3, healthy=False))
    with pytest.raises(Refused, match="the quorum would be lost"):
        titles(3, monkeypatch, *seats, data=False)
