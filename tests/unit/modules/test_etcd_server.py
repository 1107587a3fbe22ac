from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from pgstead.errors import SpecError
from pgstead.machine import Machine, OnChange, bind, significant
from pgstead.membership import EtcdMember
from pgstead.modules.build import Blueprint
from pgstead.modules.fake import FakeMaterials

Tree = dict[str, Any]
Make = Callable[..., Machine]
Build = Callable[..., Blueprint]

TLS = {"ca_cert": "authority", "server_cert": "certificate", "server_key": "key"}


def _text(machine: Machine) -> str:
    return next(file.content for file in machine.software.files if file.path.endswith("conf.yml"))


def _conf(machine: Machine) -> dict[str, Any]:
    conf: dict[str, Any] = yaml.safe_load(_text(machine))
    return conf


def _member(machine: Machine) -> EtcdMember:
    assert isinstance(machine.membership, EtcdMember)
    return machine.membership


def test_the_defaults_are_those_of_old(make: Make, etcd: Tree) -> None:
    conf = _conf(make(etcd))
    assert conf["auto-compaction-mode"] == "revision"
    assert conf["auto-compaction-retention"] == "1000"
    assert conf["quota-backend-bytes"] == 8 * 1024**3
    assert conf["enable-grpc-gateway"] is False
    assert conf["client-transport-security"]["client-cert-auth"] is True
    assert conf["peer-transport-security"]["client-cert-auth"] is True


def test_a_shared_machine_lends_no_loopback_address(make: Make, etcd: Tree) -> None:
    assert _conf(make(etcd))["listen-client-urls"] == "https://10.1.0.1:2379"
    own = _conf(make(etcd, platform="memory"))
    assert own["listen-client-urls"] == "https://10.1.0.1:2379,https://127.0.0.1:2379"
    assert own["advertise-client-urls"] == "https://10.1.0.1:2379"


def test_what_counts_at_bootstrap_alone_is_no_change(make: Make, etcd: Tree) -> None:
    first = _text(make(etcd))
    members = [*etcd["cluster"]["initial_members"], {"name": "etcd-2", "ip": "10.1.0.2"}]
    cluster = {"is_initializing": False, "initial_token": "token", "initial_members": members}
    later = _text(make({**etcd, "cluster": cluster}))
    assert first != later
    assert significant(first) == significant(later)


def test_a_joining_member_is_told_other_values(make: Make, etcd: Tree) -> None:
    text = bind(_text(make(etcd)), {"initial-cluster-state": "existing", "initial-cluster": "a=b"})
    conf = yaml.safe_load(text)
    assert (conf["initial-cluster-state"], conf["initial-cluster"]) == ("existing", "a=b")
    assert conf["initial-cluster-token"] == "token"


def test_its_certificate_is_a_servers_and_a_clients(build_all: Build, etcd: Tree) -> None:
    materials = FakeMaterials()
    build_all({"e": etcd}, materials=materials)
    request = materials.asked["e/server"]
    assert request.addresses == ("10.1.0.1", "127.0.0.1")
    assert (request.server, request.client) == (True, True)
    operator = materials.asked["ca/operator"]
    assert (operator.common_name, operator.organization) == (None, "pgstead")
    assert (operator.server, operator.client) == (False, True)


def test_certificates_are_read_anew_without_telling_etcd(make: Make, etcd: Tree) -> None:
    files = {file.path: file for file in make(etcd).software.files}
    key = files["/etc/etcd/tls/server.key"]
    assert (key.secret, key.mode, key.owner) == (True, 0o600, "etcd")
    assert (key.on_change, key.service) == (OnChange.RELOAD, None)
    assert files["/etc/etcd/conf.yml"].on_change is OnChange.RESTART


def test_given_certificates_are_the_operators_too(make: Make, etcd: Tree) -> None:
    tree = {key: value for key, value in etcd.items() if key != "ca"} | {"tls": TLS}
    machine = make(tree)
    operator = _member(machine).operator
    assert (operator.ca, operator.certificate, operator.key) == tuple(TLS.values())
    files = {file.path: file.content for file in machine.software.files}
    assert [files[f"/etc/etcd/tls/{name}"] for name in ("ca.crt", "server.crt", "server.key")] == [
        "authority\n",
        "certificate\n",
        "key\n",
    ]


@pytest.mark.parametrize("change", [{"tls": TLS}, {"ca": None}])
def test_certificates_come_from_one_place(change: Tree, make: Make, etcd: Tree) -> None:
    with pytest.raises(SpecError, match="give one of `ca`"):
        make({**etcd, **change})


def test_users_ride_on_the_member_that_sets_them_up(make: Make, etcd: Tree) -> None:
    users = [{"name": "patroni", "password": "made-up", "prefixes": ["/service/main/"]}]
    access = {"bootstrap": True, "root_password": "root's", "users": users}
    found = _member(make({**etcd, "authentication_bootstrap": access})).access
    assert found is not None
    assert found.root_password == "root's"
    assert [(user.name, user.password, user.prefixes) for user in found.users] == [
        ("patroni", "made-up", ("/service/main/",))
    ]
    assert _member(make(etcd)).access is None


def test_root_may_do_without_a_password_if_it_has_a_certificate(make: Make, etcd: Tree) -> None:
    tree = {**etcd, "authentication_bootstrap": {"bootstrap": True, "root_password": ""}}
    access = _member(make(tree)).access
    assert access is not None
    assert access.root_password is None
    with pytest.raises(SpecError, match="root_password is needed"):
        make({**tree, "etcd": {"client_cert_auth": False}})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"etcd": {"heartbeat_interval": 100, "election_timeout": 400}}, "five times"),
        ({"name": "other"}, "lacks this member"),
        ({"name": "under_score"}, "host name"),
        ({"ip": "::1"}, "IPv4 address"),
        ({"etcd": {"auto_compaction_mode": "hourly"}}, "periodic or revision"),
        ({"cluster": {"initial_members": []}}, "at least 1"),
    ],
)
def test_what_cannot_work_is_refused(change: Tree, words: str, make: Make, etcd: Tree) -> None:
    with pytest.raises(SpecError, match=words):
        make({**etcd, **change})


def test_a_member_that_joins_later_need_not_be_initial(make: Make, etcd: Tree) -> None:
    cluster = {**etcd["cluster"], "is_initializing": False}
    machine = make({**etcd, "name": "etcd-9", "ip": "10.1.0.9", "cluster": cluster})
    assert "etcd-9=https://10.1.0.9:2380" in _conf(machine)["initial-cluster"]
    assert _conf(machine)["initial-cluster-state"] == "existing"


@pytest.mark.parametrize(("version", "warned"), [("3.4.23", 0), ("3.5.1", 1), ("3.5.20", 0)])
def test_versions_that_lose_promoted_learners_are_warned_about(
    version: str, warned: int, make: Make, etcd: Tree
) -> None:
    assert len(make(etcd, etcd=version).warnings) == warned


def test_a_large_quota_and_a_long_life_are_warned_about(make: Make, etcd: Tree) -> None:
    tree = {**etcd, "etcd": {"space_quota": 1 << 40}, "certificate_validity_period": 876_000}
    first, second = make(tree).warnings
    assert "100 years" in first
    assert "8 GiB" in second


def test_chrony_is_for_machines_with_a_clock_of_their_own(make: Make, etcd: Tree) -> None:
    chrony = {"enabled": True, "servers": [{"url": "ntp.local", "options": ["iburst"]}]}
    software = make({**etcd, "chrony": chrony}).software
    service = next(one for one in software.services if one.name == "chrony")
    assert service.guest_only
    text = next(file.content for file in software.files if file.service == "chrony")
    assert "\nserver ntp.local iburst\n" in text
    assert "makestep" not in text
    assert [one.name for one in make(etcd).software.services] == ["etcd"]


def test_an_image_that_holds_everything_gets_no_packages(make: Make, etcd: Tree) -> None:
    assert make({**etcd, "install_dependencies": False}).software.packages == ()
    assert [one.name for one in make(etcd).software.packages] == ["etcd-server", "etcd-client"]


def test_settings_are_the_users_to_say(make: Make, etcd: Tree) -> None:
    settings = {
        "auto_compaction_mode": "periodic",
        "auto_compaction_retention": "1h",
        "space_quota": 1 << 30,
        "grpc_gateway_enabled": True,
        "client_cert_auth": False,
    }
    conf = _conf(make({**etcd, "etcd": settings}))
    assert conf["auto-compaction-mode"] == "periodic"
    assert conf["auto-compaction-retention"] == "1h"
    assert conf["quota-backend-bytes"] == 1 << 30
    assert conf["enable-grpc-gateway"] is True
    assert conf["client-transport-security"]["client-cert-auth"] is False
    assert "trusted-ca-file" not in conf["client-transport-security"], "it asks for certificates"
    assert "trusted-ca-file" in conf["peer-transport-security"]


def test_whose_users_are_set_up_serves_the_way_to_do_so(build_all: Build, etcd: Tree) -> None:
    """On every member: whichever is up is asked."""
    members = [{"name": f"etcd-{n}", "ip": f"10.1.0.{n}"} for n in (1, 2)]
    cluster = {"initial_token": "token", "initial_members": members}
    one = {**etcd, "cluster": cluster, "authentication_bootstrap": {"bootstrap": True}}
    two = {**etcd, "name": "etcd-2", "ip": "10.1.0.2", "cluster": cluster}
    other = {**etcd, "name": "etcd-3", "ip": "10.1.0.3"}
    other["cluster"] = {"initial_members": [{"name": "etcd-3", "ip": "10.1.0.3"}]}
    machines = build_all({"a": one, "b": two, "c": other}).machines
    assert [_conf(each)["enable-grpc-gateway"] for each in machines] == [True, True, False]


def test_the_cluster_is_the_users_to_name(make: Make, etcd: Tree) -> None:
    members = [{"name": "etcd-1", "ip": "10.1.0.1"}, {"name": "etcd-2", "ip": "10.1.0.2"}]
    cluster = {"is_initializing": True, "initial_token": "mine", "initial_members": members}
    conf = _conf(make({**etcd, "cluster": cluster}))
    assert conf["initial-cluster-token"] == "mine"
    assert conf["initial-cluster-state"] == "new"
    assert conf["initial-cluster"] == "etcd-1=https://10.1.0.1:2380,etcd-2=https://10.1.0.2:2380"
    joining = _conf(make({**etcd, "cluster": {**cluster, "is_initializing": False}}))
    assert joining["initial-cluster-state"] == "existing"
