"""Whether a stack's clusters are well enough for one of its machines to be disturbed."""

from __future__ import annotations

import pytest

from pgstead.clusters import etcd_view
from pgstead.clusters.etcd_membership import Seat, View
from pgstead.clusters.groups import EtcdCluster, Groups
from pgstead.clusters.health import of_groups
from pgstead.membership import EtcdMember, TlsClient

TLS = TlsClient("ca", "crt", "key")
MEMBERS = {f"etcd-{n}": EtcdMember("main", f"etcd-{n}", f"10.0.0.{n}", TLS) for n in (1, 2, 3)}
GROUPS = Groups({"main": EtcdCluster("main", MEMBERS)}, {}, {}, {})


def seats(*ill: int) -> tuple[Seat, ...]:
    return tuple(
        Seat(n, f"etcd-{n}", f"https://10.0.0.{n}:2380", started=True, healthy=n not in ill)
        for n in (1, 2, 3)
    )


def seen(monkeypatch: pytest.MonkeyPatch, view: View) -> None:
    monkeypatch.setattr(etcd_view, "look", lambda _cluster: view)


def test_all_well_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    seen(monkeypatch, View(seats()))
    assert of_groups(GROUPS).ok


def test_one_that_is_ill_is_a_reason_unless_it_is_the_one(monkeypatch: pytest.MonkeyPatch) -> None:
    seen(monkeypatch, View(seats(2)))
    assert of_groups(GROUPS).reasons == ("etcd.main: not healthy: etcd-2",)
    assert of_groups(GROUPS, without="etcd-2").ok


def test_without_space_only_etcds_own_members_are_disturbed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen(monkeypatch, View(seats(), no_space=True))
    (reason,) = of_groups(GROUPS).reasons
    assert reason.startswith("etcd.main: alarm NOSPACE: etcd takes no writes")
    assert of_groups(GROUPS, without="etcd-2", space=False).ok
    seen(monkeypatch, View(seats(3), no_space=True))
    assert not of_groups(GROUPS, without="etcd-2", space=False).ok
