"""Who may come back after etcd has lost everything."""

from dataclasses import dataclass

import pytest

from pgstead.clients.http import Unreachable
from pgstead.clients.patroni import NodeStatus
from pgstead.clusters import groups as grouping
from pgstead.clusters import renewing
from pgstead.clusters.groups import EtcdCluster, Groups, PatroniScope
from pgstead.engine.plan import Action, Change, Plan
from pgstead.engine.resource import Recorded
from pgstead.errors import Refused
from pgstead.membership import EtcdMember, PatroniMember, PostgresAccess, Role, TlsClient

TLS = TlsClient("ca", "crt", "key")
ACCESS = PostgresAccess((Role("postgres", "secret", superuser=True),))
RENEWED = (Recorded("etcd.e", "etcd", {}, "creating"),)


def member(name: str) -> PatroniMember:
    return PatroniMember("s", "/service/", name, name, TLS, {}, ACCESS, etcd_cluster="e")


def groups(*names: str) -> Groups:
    etcd = EtcdCluster("e", {"e1": EtcdMember("e", "e1", "e1", TLS)})
    scope = PatroniScope("s", {name: member(name) for name in names})
    return Groups({"e": etcd}, {"s": scope}, {}, {})


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What each member says of itself; one that is missing does not answer."""
    said = {"p1": "running", "p2": "running"}

    @dataclass
    class Api:
        member: PatroniMember

        def status(self) -> NodeStatus:
            if self.member.name not in said:
                raise Unreachable(self.member.name)
            return NodeStatus(said[self.member.name], "replica", "4.1.5")

    monkeypatch.setattr(grouping, "api", Api)
    return said


def check(*names: str, new: str = "", recreate: tuple[str, ...] = (), renew: bool = True) -> None:
    changes = (Change(f"machine.{new}", Action.CREATE),) if new else ()
    plan = Plan(changes, RENEWED if renew else ())
    renewing.check(groups(*names), plan, recreate)


@pytest.mark.usefixtures("states")
def test_those_who_knew_their_cluster_find_the_right_leader() -> None:
    check("p1", "p2")


@pytest.mark.parametrize("state", ["", "stopped", "starting"])
def test_one_that_does_not_run_might_lead_without_the_latest_rows(
    states: dict[str, str], state: str
) -> None:
    states.pop("p2")
    states.update({"p2": state} if state else {})
    with pytest.raises(Refused, match=r"latest rows.*: p2"):
        check("p1", "p2")
    check("p1", "p2", recreate=("patroni.s",))
    check("p1", "p2", renew=False)


def test_an_only_member_lacks_nothing(states: dict[str, str]) -> None:
    states.clear()
    check("p1")


@pytest.mark.usefixtures("states")
def test_one_without_data_would_begin_a_cluster_of_its_own() -> None:
    with pytest.raises(Refused, match="no data on p2"):
        check("p1", "p2", new="p2", recreate=("patroni.s",))
