"""Machines as servers of a cloud: what every module takes, and the etcd member of old."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pgstead.certificates import CertificateRequest
from pgstead.errors import PlatformError, SpecError
from pgstead.machine import Cloud, Machine, Port
from pgstead.membership import EtcdMember
from pgstead.modules.base import Context, Facts
from pgstead.modules.build import Blueprint, build
from pgstead.modules.fake import FakeMaterials
from pgstead.spec import from_tree

Tree = dict[str, Any]
Build = Callable[..., Blueprint]
Make = Callable[..., Machine]


@pytest.fixture
def member() -> Tree:
    return {
        "source": "openstack-etcd-server",
        "name": "etcd-1",
        "image_id": "ubuntu",
        "flavor_id": "micro",
        "network_port": {"ip": "10.1.0.1"},
        "keypair_name": "mine",
        "initial_cluster": [{"ip": "10.1.0.1", "name": "etcd-1"}],
        "ca": "ca",
    }


def _guest(make: Make, tree: Tree, **changes: Any) -> Machine:
    return make({**tree, **changes}, platform="memory")


def _conf(machine: Machine) -> dict[str, Any]:
    (file,) = [one for one in machine.software.files if one.path.endswith("conf.yml")]
    conf: dict[str, Any] = yaml.safe_load(file.content)
    return conf


def _member(machine: Machine) -> EtcdMember:
    assert isinstance(machine.membership, EtcdMember)
    return machine.membership


def _port(machine: Machine) -> Port | None:
    (card,) = machine.guest.nics
    return card.port


# -- the etcd member of old


def test_the_defaults_are_those_of_old(make: Make, member: Tree) -> None:
    machine = _guest(make, member)
    conf = _conf(machine)
    assert (conf["auto-compaction-mode"], conf["auto-compaction-retention"]) == ("revision", "1000")
    assert conf["quota-backend-bytes"] == 8 * 1024**3
    assert (conf["initial-cluster-state"], conf["initial-cluster-token"]) == ("new", "etcd-cluster")
    assert conf["client-transport-security"]["client-cert-auth"] is True
    assert _member(machine).access is None


def test_a_namespace_ends_every_name(make: Make, member: Tree) -> None:
    members = [*member["initial_cluster"], {"ip": "10.1.0.2", "name": "etcd-2"}]
    machine = _guest(make, member, namespace="dev", initial_cluster=members)
    assert (machine.name, _member(machine).name) == ("etcd-1-dev", "etcd-1-dev")
    assert _conf(machine)["name"] == "etcd-1-dev"
    assert _conf(machine)["initial-cluster"] == (
        "etcd-1-dev=https://10.1.0.1:2380,etcd-2-dev=https://10.1.0.2:2380"
    )
    assert _guest(make, member).name == "etcd-1"


def test_names_differ_by_their_namespace_alone(build_all: Build, member: Tree) -> None:
    other = {**member, "namespace": "b", "network_port": {"ip": "10.1.0.2"}}
    other["initial_cluster"] = [{"ip": "10.1.0.2", "name": "etcd-1"}]
    other["initial_cluster_token"] = "b"
    found = build_all({"a": member, "b": other}, platform="memory")
    assert [one.name for one in found.machines] == ["etcd-1", "etcd-1-b"]
    assert found.outputs["b"]["name"].value == "etcd-1-b"


def test_what_the_server_is_made_of(make: Make, member: Tree) -> None:
    guest = _guest(make, member).guest
    assert guest.os_disk.base == "ubuntu"
    assert guest.cloud == Cloud(flavor="micro", key_pair="mine")


def test_a_release_is_checked_against_its_makers_list(make: Make, member: Tree) -> None:
    machine = _guest(make, member)
    (command,) = [one for one in machine.software.setup if one.name == "download-etcd"]
    url, checksums = command.argv[2:4]
    assert url.endswith("/v3.4.15/etcd-v3.4.15-linux-%ARCHITECTURE%.tar.gz")
    assert checksums.endswith("/v3.4.15/SHA256SUMS")
    assert machine.software.services[0].command[0] == "@{path:/opt/etcd/v3.4.15/etcd}"
    other = _guest(make, member, etcd_version="3.4.27")
    assert other.software.services[0].command[0] == "@{path:/opt/etcd/v3.4.27/etcd}"


def test_an_archive_of_ones_own_is_taken_instead(make: Make, member: Tree) -> None:
    download = {"url": "https://mirror.local/etcd.tar.gz", "sha256": "ab" * 32}
    machine = _guest(make, member, etcd_download=download)
    assert machine.software.services[0].command[0] == "@{path:/opt/etcd/abababababab/etcd}"


def test_settings_are_the_users_to_say(make: Make, member: Tree) -> None:
    conf = _conf(
        _guest(
            make,
            member,
            etcd_auto_compaction_mode="periodic",
            etcd_auto_compaction_retention="1h",
            etcd_space_quota=1 << 30,
        )
    )
    assert (conf["auto-compaction-mode"], conf["auto-compaction-retention"]) == ("periodic", "1h")
    assert conf["quota-backend-bytes"] == 1 << 30


def test_a_member_may_join_later(make: Make, member: Tree) -> None:
    conf = _conf(
        _guest(
            make,
            member,
            name="etcd-9",
            is_initial_cluster=False,
            initial_cluster_token="mine",
            network_port={"ip": "10.1.0.9"},
        )
    )
    assert (conf["initial-cluster-state"], conf["initial-cluster-token"]) == ("existing", "mine")
    assert conf["initial-cluster"].endswith("etcd-9=https://10.1.0.9:2380")


def test_root_is_reached_by_a_certificate_alone(make: Make, member: Tree) -> None:
    access = _member(_guest(make, member, bootstrap_authentication=True)).access
    assert access is not None
    assert (access.root_password, access.users) == (None, ())
    assert access.operator_password == "<password it/operator>"


def test_roots_certificate_is_an_output(build_all: Build, member: Tree) -> None:
    materials = FakeMaterials()
    tree = {**member, "bootstrap_authentication": True}
    outputs = build_all({"e": tree}, platform="memory", materials=materials).outputs["e"]
    request = materials.asked["e/root"]
    assert (request.common_name, request.client, request.server) == ("root", True, False)
    assert outputs["root_certificate"].value == f"<certificate e/root>\n{_told(request)}"
    assert (outputs["root_key"].value, outputs["root_key"].secret) == ("<key e/root>\n", True)
    assert outputs["root_ca_certificate"].value == "<authority ca>\n"


def _told(request: CertificateRequest) -> str:
    """The rest of a made-up certificate's text."""
    materials = FakeMaterials()
    return materials.certificate(request).certificate.split("\n", 1)[1]


def test_who_sets_up_no_such_root_has_no_certificate_of_it(
    build_all: Build, member: Tree, etcd: Tree
) -> None:
    def root(tree: Tree) -> object:
        return build_all({"e": tree}, platform="memory").outputs["e"]["root_certificate"].value

    assert root(member) == ""
    assert root(etcd) == ""
    access = {"bootstrap": True, "root_password": "a password"}
    assert root({**etcd, "authentication_bootstrap": access}) == ""
    assert root({**etcd, "authentication_bootstrap": {"bootstrap": True}}) != ""


def test_the_certificate_of_old(build_all: Build, member: Tree) -> None:
    materials = FakeMaterials()
    build_all({"e": member}, platform="memory", materials=materials)
    request = materials.asked["e/server"]
    assert (request.common_name, request.organization) == ("etcd-cluster", "pgstead")
    assert request.addresses == ("10.1.0.1", "127.0.0.1")
    assert (request.server, request.client, request.key) == (True, True, "rsa-4096")
    assert request.validity_hours == 100 * 365 * 24
    assert request.early_renewal_hours == 365 * 24


def test_the_early_renewal_counts_from_the_issue(build_all: Build, member: Tree) -> None:
    materials = FakeMaterials()
    periods = {"certificate_validity_period": 100, "certificate_early_renewal_period": 70}
    given = {"organization": "example", "key_length": 2048}
    build_all({"e": {**member, **periods, **given}}, platform="memory", materials=materials)
    request = materials.asked["e/server"]
    assert (request.validity_hours, request.early_renewal_hours) == (100, 30)
    assert (request.organization, request.key) == ("example", "rsa-2048")


def test_a_given_authority_signs(build_all: Build, member: Tree) -> None:
    ca = {"key": "the key", "key_algorithm": "RSA", "certificate": "the authority"}
    materials = FakeMaterials()
    build_all({"e": {**member, "ca": ca}}, platform="memory", materials=materials)
    assert materials.authority(materials.asked["e/server"].authority).key == "the key"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image_id": None}, "image_id"),
        ({"flavor_id": ""}, "flavor_id"),
        ({"keypair_name": ""}, "keypair_name"),
        ({"network_port": ""}, "network_port"),
        ({"network_port": {"id": "a", "name": "b"}}, "is for a port that is made"),
        ({"initial_cluster": []}, "at least 1"),
        ({"initial_cluster": [{"ip": "10.1.0.2", "name": "other"}]}, "lacks this member"),
        ({"namespace": "a" * 60}, "longer than 63"),
        ({"namespace": "under_score"}, "namespace"),
        ({"etcd_version": "latest"}, "etcd_version"),
        ({"etcd_space_quota": 0}, "etcd_space_quota"),
        ({"certificate_early_renewal_period": 100 * 365 * 24}, "counts from the issue"),
        ({"etcd_auto_compaction_mode": "hourly"}, "periodic or revision"),
        ({"vcpus": 2}, "vcpus"),
        ({"security_groups": ["a"], "network_port": "b"}, "network_port names one"),
    ],
)
def test_what_cannot_work_is_refused(change: Tree, words: str, make: Make, member: Tree) -> None:
    with pytest.raises(SpecError, match=words):
        _guest(make, member, **change)


def test_members_agree_by_the_names_of_old(build_all: Build, member: Tree) -> None:
    members = [*member["initial_cluster"], {"ip": "10.1.0.2", "name": "etcd-2"}]
    one = {**member, "initial_cluster": members}
    two = {**one, "name": "etcd-2", "network_port": {"ip": "10.1.0.2"}, "etcd_space_quota": 9}
    with pytest.raises(SpecError, match=r"modules\.b\.etcd_space_quota: differs from modules\.a"):
        build_all({"a": one, "b": two}, platform="memory")


# -- ports


def test_a_port_that_is_made(make: Make, member: Tree) -> None:
    port = {
        "name": "port-1",
        "network_id": "internal",
        "subnet_id": "internal-4",
        "ip": "10.1.0.1",
        "mac": "FA:16:3E:00:00:01",
        "security_group_ids": ["etcd"],
        "admin_state_up": False,
    }
    machine = _guest(make, member, network_port=port)
    (card,) = machine.guest.nics
    assert (card.network_id, card.mac) == ("internal", "fa:16:3e:00:00:01")
    assert card.port == Port(None, "port-1", "internal-4", ("etcd",), admin_up=False)
    assert machine.address == card.address == "10.1.0.1"


def test_security_groups_of_the_stack_are_the_default(make: Make, member: Tree) -> None:
    assert _port(_guest(make, member)) == Port()
    none = _guest(make, member, network_port={"security_group_ids": []})
    assert _port(none) == Port(security_groups=())
    assert _port(_guest(make, member, security_groups=["a"])) == Port(security_groups=("a",))


@pytest.mark.parametrize("port", ["port-1", {"id": "port-1"}])
def test_an_existing_port_gives_its_address(port: Tree | str, member: Tree) -> None:
    asked: list[str] = []

    def address(name: str) -> str:
        asked.append(name)
        return "10.9.0.7"

    built = _on_openstack({"e": {**member, "network_port": port}}, address)
    (machine,) = built.machines
    assert machine.address == built.outputs["e"]["ip"].value == "10.9.0.7"
    assert _port(machine) == Port("port-1")
    assert set(asked) == {"port-1"}


def test_members_may_name_each_others_ports(member: Tree) -> None:
    members = [{"ip": f"${{modules.e{n}.ip}}", "name": f"etcd-{n}"} for n in (1, 2)]
    trees = {
        f"e{n}": {
            **member,
            "name": f"etcd-{n}",
            "network_port": f"p{n}",
            "initial_cluster": members,
        }
        for n in (1, 2)
    }
    built = _on_openstack(trees, lambda port: f"10.9.0.{port[1:]}")
    assert {_conf(one)["initial-cluster"] for one in built.machines} == {
        "etcd-1=https://10.9.0.1:2380,etcd-2=https://10.9.0.2:2380"
    }


def test_a_port_that_is_missing_says_so(member: Tree) -> None:
    def missing(port: str) -> str:
        raise PlatformError(f"there is no port {port!r}")

    with pytest.raises(PlatformError, match="no port 'p1'"):
        _on_openstack({"e": {**member, "network_port": "p1"}}, missing)


def _on_openstack(modules: Tree, port_address: Callable[[str], str]) -> Blueprint:
    tree = {
        "name": "unit",
        "platform": {"kind": "memory"},
        "certificate_authorities": {"ca": {}},
        "modules": modules,
    }
    stack = from_tree(tree, folder=Path("/nowhere"), environ={})
    facts = Facts("openstack", port_address=port_address)
    return build(stack, Context(facts, FakeMaterials()))


# -- the other modules

IN_A_CLOUD = {
    "flavor": "m1.large",
    "image": "debian-12",
    "network_port": {"network_id": "internal"},
    "keypair_name": "mine",
    "availability_zone": "az-1",
    "server_group": "apart",
    "boot_from_volume": True,
    "os_size": 20,
    "volume_type": "fast",
}


@pytest.mark.parametrize("module", ["etcd", "patroni", "balancer", "server"])
def test_every_module_may_be_a_clouds_server(
    module: str, make: Make, request: pytest.FixtureRequest
) -> None:
    guest = _guest(make, request.getfixturevalue(module), **IN_A_CLOUD).guest
    assert (guest.os_disk.base, guest.os_disk.size) == ("debian-12", 20)
    assert guest.cloud == Cloud("m1.large", "mine", "az-1", "apart", True, "fast")
    (card,) = guest.nics
    assert (card.network_id, card.port) == ("internal", Port())


def test_without_a_word_everything_is_the_platforms(make: Make, server: Tree) -> None:
    machine = _guest(make, server)
    assert machine.guest.cloud == Cloud()
    assert _port(machine) is None


def test_groups_alone_are_about_the_platforms_network(make: Make, server: Tree) -> None:
    assert _port(_guest(make, server, security_groups=["db"])) == Port(security_groups=("db",))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"network_port": "a", "network_id": "b"}, "does not go with libvirt's"),
        ({"network_port": {"ip": "10.1.0.2"}, "ip": "10.1.0.3"}, "network_port's is 10.1.0.2"),
        (
            {"network_port": {"security_group_ids": ["a"]}, "security_groups": ["b"]},
            "in network_port already",
        ),
    ],
)
def test_an_interface_is_said_once(change: Tree, words: str, make: Make, server: Tree) -> None:
    with pytest.raises(SpecError, match=words):
        _guest(make, server, **change)


def test_what_is_of_other_platforms_is_warned_about(make: Make, server: Tree) -> None:
    def warned(platform: str, **changes: Any) -> str:
        tree = {**server, "ip": "10.1.0.1", **changes}
        return " ".join(make(tree, platform=platform).warnings)

    assert "flavor has no effect" in warned("local", flavor="a")
    assert "flavor, server_group have no effect" in warned("libvirt", flavor="a", server_group="b")
    assert "macvtap_interface, memory have no effect" in warned(
        "openstack", macvtap_interface="ens3", memory=512
    )
    assert "no effect" not in warned("openstack", **IN_A_CLOUD)
