"""Users of an etcd cluster brought to what they should be: the order, and who may do all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from pgstead.clusters import etcd
from pgstead.clusters.groups import OPERATOR, ROOT, EtcdCluster, administrator
from pgstead.membership import EtcdAccess, EtcdMember, TlsClient

BY_PASSWORD = EtcdAccess("root-secret")
BY_CERTIFICATE = EtcdAccess(None, operator_password="own-secret")


@dataclass
class FakeEtcd:
    """The calls of `clients.etcd.EtcdClient` that are needed here, on a dictionary."""

    passwords: dict[str, str | None] = field(default_factory=dict)
    granted: dict[str, set[str]] = field(default_factory=dict)
    known_roles: set[str] = field(default_factory=set)
    enabled: bool = False
    password: str | None = None
    calls: list[str] = field(default_factory=list)

    def authentication_enabled(self) -> bool:
        return self.enabled

    def users(self) -> tuple[str, ...]:
        return tuple(self.passwords)

    def roles(self) -> tuple[str, ...]:
        return tuple(self.known_roles)

    def user_add(self, user: str, password: str | None) -> None:
        self.calls.append(f"add {user}")
        self.passwords[user] = password

    def user_change_password(self, user: str, password: str) -> None:
        self.calls.append(f"change {user}")
        self.passwords[user] = password

    def role_add(self, role: str) -> None:
        self.known_roles.add(role)

    def user_grant(self, user: str, role: str) -> None:
        self.granted.setdefault(user, set()).add(role)

    def authentication_enable(self) -> None:
        assert ROOT in self.granted[ROOT]
        self.calls.append("enable")
        self.enabled = True


def cluster(access: EtcdAccess) -> EtcdCluster:
    member = EtcdMember("main", "etcd-1", "10.0.0.1", TlsClient("", "", ""), access=access)
    return EtcdCluster("main", {"etcd-1": member})


def converge(world: FakeEtcd, access: EtcdAccess, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done to it; the client has whichever password is right."""

    def as_root(*_: Any) -> FakeEtcd:
        name, _password = administrator(access) or (ROOT, None)
        world.password = world.passwords.get(name)
        return world

    monkeypatch.setattr(etcd, "as_root", as_root)
    monkeypatch.setattr(EtcdCluster, "client", lambda _self: world)
    world.calls = []
    etcd.converge(cluster(access), access, lambda _: ())
    return world.calls


def test_a_root_with_a_password_is_the_administrator(monkeypatch: pytest.MonkeyPatch) -> None:
    world = FakeEtcd()
    assert converge(world, BY_PASSWORD, monkeypatch) == ["add root", "enable"]
    assert world.passwords == {ROOT: "root-secret"}
    assert converge(world, BY_PASSWORD, monkeypatch) == []


def test_beside_a_root_without_one_pgstead_has_a_user_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = FakeEtcd()
    assert converge(world, BY_CERTIFICATE, monkeypatch) == [
        "add root",
        f"add {OPERATOR}",
        "enable",
    ]
    assert world.passwords == {ROOT: None, OPERATOR: "own-secret"}
    assert world.granted == {ROOT: {ROOT}, OPERATOR: {ROOT}}
    assert converge(world, BY_CERTIFICATE, monkeypatch) == []


def test_its_password_changes_last(monkeypatch: pytest.MonkeyPatch) -> None:
    world = FakeEtcd()
    converge(world, BY_CERTIFICATE, monkeypatch)
    other = EtcdAccess(None, operator_password="another")
    assert converge(world, other, monkeypatch) == [f"change {OPERATOR}"]
    assert world.passwords[OPERATOR] == world.password == "another"


def test_interrupted_before_authentication_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    world = FakeEtcd(passwords={ROOT: None, OPERATOR: "earlier"}, known_roles={ROOT})
    assert converge(world, BY_CERTIFICATE, monkeypatch) == [f"change {OPERATOR}", "enable"]
    assert world.passwords[OPERATOR] == "own-secret"


def test_where_nobody_may_do_all_authentication_stays_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert converge(FakeEtcd(enabled=True), EtcdAccess(None), monkeypatch) == []


def test_who_logs_in() -> None:
    for access, user in ((BY_PASSWORD, ROOT), (BY_CERTIFICATE, OPERATOR), (EtcdAccess(None), None)):
        client = cluster(access).client()
        assert (client.user, client.password is None) == (user, user is None)
