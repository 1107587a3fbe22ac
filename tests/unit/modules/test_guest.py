"""What is a guest's: size, disks, interfaces, admin; and the rules of old."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from copy import deepcopy
from typing import Any

import pytest

from pgstead.errors import SpecError
from pgstead.machine import Admin, Disk, Machine, Nic, Size
from pgstead.modules.build import Blueprint

Tree = dict[str, Any]
Make = Callable[..., Machine]
Build = Callable[..., Blueprint]

ON_A_NETWORK = {"network_name": "lan", "ip": "10.1.0.1"}
SHARED = {"interface": "ens3", "ip": "10.1.0.1", "prefix_length": "24"}


def _guest(make: Make, tree: Tree, **changes: Any) -> Machine:
    return make({**tree, **changes}, platform="memory")


# -- size, disks, admin


def test_the_defaults_are_those_of_old(make: Make, server: Tree) -> None:
    guest = _guest(make, server).guest
    assert guest.size == Size(2, 8192)
    assert guest.os_disk == Disk("os")
    assert guest.data_disk == Disk("data", mount="/var/lib/postgresql", owner="postgres")
    assert (guest.seed_pool, guest.seed_name) == (None, "alone-cloud-init.iso")
    assert (guest.running, guest.autostart, guest.install) == (True, True, True)
    assert guest.admin == Admin()


def test_size_is_the_users_to_say(make: Make, server: Tree) -> None:
    machine = _guest(make, server, vcpus=4, memory=512, running=False, autostart=False)
    assert machine.guest.size == Size(4, 512)
    assert (machine.guest.running, machine.guest.autostart) == (False, False)
    assert not _guest(make, server, install_dependencies=False).guest.install


def test_disks_exist_or_are_made(make: Make, server: Tree) -> None:
    there = _guest(make, server, volume_id="/pool/os", data_volume_id="/pool/data").guest
    assert there.os_disk == Disk("os", volume_id="/pool/os")
    assert there.data_disk is not None
    assert there.data_disk.volume_id == "/pool/data"
    made = _guest(make, server, image="debian", os_size=20, pool="fast", data_size=100).guest
    assert made.os_disk == Disk("os", base="debian", size=20, pool="fast")
    assert made.data_disk is not None
    assert (made.data_disk.size, made.data_disk.pool) == (100, "fast")


def test_etcds_data_disk_is_its_data_folder(make: Make, etcd: Tree) -> None:
    assert _guest(make, etcd).guest.data_disk == Disk(
        "data", mount="/var/lib/etcd", owner="etcd", mode=0o700
    )


def test_a_load_balancer_has_no_data(make: Make, balancer: Tree) -> None:
    assert _guest(make, balancer).guest.data_disk is None
    with pytest.raises(SpecError, match="data_volume_id"):
        _guest(make, balancer, data_volume_id="/pool/data")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"volume_id": "/a", "image": "b"}, "image: is for a disk that is made"),
        ({"volume_id": "/a", "os_size": 9}, "os_size: is for a disk that is made"),
        ({"data_volume_id": "/a", "data_size": 9}, "data_size: is for a disk that is made"),
        ({"volume_id": "/a", "data_volume_id": "/a"}, "is the volume of the system"),
        ({"vcpus": 0}, "vcpus"),
        ({"memory": 64}, "memory"),
        ({"ssh_admin_user": "Bad User"}, "ssh_admin_user"),
    ],
)
def test_what_makes_no_machine_is_refused(
    changes: Tree, words: str, make: Make, server: Tree
) -> None:
    with pytest.raises(SpecError, match=words):
        _guest(make, server, **changes)


def test_the_admin(make: Make, server: Tree) -> None:
    machine = _guest(
        make,
        server,
        ssh_admin_user="me",
        ssh_admin_public_key="ssh-ed25519 AAAA",
        admin_user_password="made-up",
        cloud_init_volume_pool="seeds",
        cloud_init_volume_name="mine.iso",
    )
    assert machine.guest.admin == Admin("me", "ssh-ed25519 AAAA", "made-up")
    assert (machine.guest.seed_pool, machine.guest.seed_name) == ("seeds", "mine.iso")
    assert "made-up" not in repr(machine)
    empty = _guest(make, server, admin_user_password="", cloud_init_volume_name="").guest
    assert (empty.admin.password, empty.seed_name) == (None, "alone-cloud-init.iso")


def test_where_a_kernel_is_shared_nothing_of_a_guest_counts(make: Make, server: Tree) -> None:
    machine = make({**server, "vcpus": 4, "memory": 512})
    assert machine.guest.nics == ()
    assert any("memory, vcpus have no effect" in warning for warning in machine.warnings)
    assert not any("no effect" in warning for warning in make(server).warnings)


# -- interfaces


def test_without_a_word_the_platforms_network_is_meant(make: Make, server: Tree) -> None:
    assert _guest(make, server).guest.nics == (Nic("10.0.0.1", mac=None),)


def test_one_interface_by_a_networks_id(make: Make, server: Tree) -> None:
    machine = _guest(make, server, network_id="b10c", macvtap_interface="", ip="10.1.0.1", mac="")
    assert machine.guest.nics == (Nic("10.1.0.1", network_id="b10c", mac=None),)


def test_one_interface_that_is_the_hosts(make: Make, server: Tree) -> None:
    machine = _guest(
        make,
        server,
        network_id="",
        macvtap_interface="ens3",
        macvtap_subnet_prefix_length=24,
        macvtap_gateway_ip="10.1.0.254",
        macvtap_dns_servers=["10.1.0.253"],
        ip="10.1.0.1",
        mac="52:54:00:DE:E3:64",
    )
    (card,) = machine.guest.nics
    assert card == Nic(
        "10.1.0.1",
        prefix_length=24,
        macvtap="ens3",
        mac="52:54:00:de:e3:64",
        gateway="10.1.0.254",
        dns_servers=("10.1.0.253",),
        match="en*",
    )
    tree = {**server, "macvtap_interface": "ens3", "macvtap_vm_interface_name_match": "eth*"}
    assert _guest(make, tree).guest.nics[0].match == "eth*"


@pytest.mark.parametrize("key", ["libvirt_network", "libvirt_networks"])
def test_interfaces_on_libvirt_networks_by_both_names(key: str, make: Make, etcd: Tree) -> None:
    one: Tree = {"network_name": "lan", "network_id": "", "ip": "10.1.0.1"}
    one |= {"mac": "aa:00:00:00:00:00", "prefix_length": "24", "dns_servers": ["10.1.0.253"]}
    other = {"network_id": "b10c", "network_name": "", "ip": "10.2.0.1", "gateway": "10.2.0.254"}
    machine = _guest(make, etcd, **{key: [one, other]})
    assert machine.address == "10.1.0.1"
    assert machine.guest.nics == (
        Nic(
            "10.1.0.1",
            network_name="lan",
            mac="aa:00:00:00:00:00",
            prefix_length=24,
            dns_servers=("10.1.0.253",),
        ),
        Nic("10.2.0.1", network_id="b10c", mac=None, gateway="10.2.0.254"),
    )


def test_a_single_interface_needs_no_list(make: Make, balancer: Tree) -> None:
    machine = _guest(make, balancer, libvirt_network=ON_A_NETWORK)
    assert machine.guest.nics == (Nic("10.1.0.1", network_name="lan", mac=None),)
    by_id = {"network_id": "b10c", "ip": "10.1.0.2", "mac": "aa:00:00:00:00:00"}
    machine = _guest(make, balancer, libvirt_network=by_id)
    assert machine.guest.nics == (Nic("10.1.0.2", network_id="b10c", mac="aa:00:00:00:00:00"),)
    assert _guest(make, balancer, libvirt_network={}).address == "10.0.0.1"


def test_several_interfaces_of_hosts(make: Make, etcd: Tree) -> None:
    other: Tree = {**SHARED, "interface": "ens4", "ip": "10.2.0.1", "dns_servers": ["10.2.0.253"]}
    other |= {"gateway": "10.2.0.254", "mac": "AA:00:00:00:00:00"}
    machine = _guest(make, etcd, macvtap_interfaces=[SHARED, other])
    assert [one.macvtap for one in machine.guest.nics] == ["ens3", "ens4"]
    assert machine.guest.nics[0].prefix_length == 24
    assert [one.address for one in machine.guest.nics] == ["10.1.0.1", "10.2.0.1"]
    last = machine.guest.nics[1]
    assert (last.dns_servers, last.gateway) == (("10.2.0.253",), "10.2.0.254")
    assert last.mac == "aa:00:00:00:00:00"
    assert machine.guest.nics[0].match is None


def test_services_bind_to_the_first_interface(build_all: Build, etcd: Tree) -> None:
    del etcd["ip"]
    network = {"network_name": "lan", "ip": "10.1.0.1"}
    tree = {
        **etcd,
        "libvirt_networks": [network],
        "macvtap_interfaces": [{**SHARED, "ip": "10.2.0.1"}],
    }
    blueprint = build_all({"it": tree}, platform="memory")
    (machine,) = blueprint.machines
    conf = next(file.content for file in machine.software.files if file.path.endswith("conf.yml"))
    assert 'listen-peer-urls: "https://10.1.0.1:2380"' in conf
    assert "10.2.0.1" not in conf
    assert blueprint.outputs["it"]["endpoint"].value == "10.1.0.1:2379"


def test_an_address_is_found_where_the_first_interface_has_none(make: Make, server: Tree) -> None:
    machine = _guest(make, server, libvirt_networks=[{"network_name": "lan"}])
    assert (machine.address, machine.guest.nics[0].address) == ("10.0.0.1", "10.0.0.1")
    both = _guest(make, server, ip="10.1.0.9", libvirt_networks=[{"network_name": "lan"}])
    assert both.guest.nics[0].address == "10.1.0.9"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network_id": "a", "macvtap_interface": "b"}, "one of network_id and macvtap_interface"),
        ({"libvirt_networks": [{"ip": "10.1.0.1"}]}, "one of network_id and network_name"),
        (
            {"libvirt_network": {**ON_A_NETWORK, "network_id": "a"}},
            "one of network_id and network_name",
        ),
        (
            {"libvirt_network": ON_A_NETWORK, "libvirt_networks": [ON_A_NETWORK]},
            "one of libvirt_network and libvirt_networks",
        ),
        ({"network_id": "a", "macvtap_interfaces": [SHARED]}, "network_id does not go with a list"),
        ({"mac": "52:54:00:00:00:09", "macvtap_interfaces": [SHARED]}, "mac does not go with"),
        ({"ip": "10.1.0.2", "macvtap_interfaces": [SHARED]}, "ip: is 10.1.0.2, but the first"),
        ({"macvtap_gateway_ip": "10.1.0.254"}, "macvtap_gateway_ip: is for macvtap_interface"),
        ({"macvtap_vm_interface_name_match": "eth*"}, "is for macvtap_interface"),
        (
            {"macvtap_interfaces": [SHARED, {"interface": "ens4"}]},
            "every interface but the first needs its ip",
        ),
        ({"macvtap_interfaces": [{"ip": "10.1.0.1"}]}, "interface"),
        ({"macvtap_interfaces": [{**SHARED, "prefix_length": 33}]}, "prefix_length"),
        ({"mac": "52:54:00:00:00"}, "mac: must be a MAC address"),
        ({"mac": "01:54:00:00:00:01"}, "mac: is a multicast address"),
        ({"libvirt_networks": [{**ON_A_NETWORK, "ip": "lan"}]}, "IPv4 address"),
    ],
)
def test_interfaces_that_cannot_be_are_refused(
    changes: Tree, words: str, make: Make, server: Tree
) -> None:
    with pytest.raises(SpecError, match=words):
        _guest(make, server, **changes)


def test_a_mac_address_is_of_one_machine(build_all: Build, server: Tree) -> None:
    one = {**server, "mac": "52:54:00:00:00:09"}
    with pytest.raises(SpecError, match="machine 'alone' has the MAC 52:54:00:00:00:09 already"):
        build_all({"a": one, "b": {**one, "name": "other"}}, platform="memory")


class Store:
    """Remembers what is saved."""

    def __init__(self) -> None:
        self.rows: dict[str, bytes] = {}

    def load(self) -> dict[str, bytes]:
        return dict(self.rows)

    def save(self, changed: Mapping[str, bytes], removed: Collection[str] = ()) -> None:
        self.rows |= changed


# -- the rules of old


@pytest.fixture
def kvm() -> Tree:
    """What every module of old wants to be told."""
    return {
        "volume_id": "/pool/os",
        "cloud_init_volume_pool": "default",
        "ssh_admin_public_key": "ssh-ed25519 AAAA",
    }


@pytest.fixture
def old_etcd(kvm: Tree, etcd: Tree) -> Tree:
    return {**etcd, **kvm, "source": "kvm-etcd-server", "libvirt_networks": [ON_A_NETWORK]}


@pytest.fixture
def old_balancer(kvm: Tree, balancer: Tree) -> Tree:
    tree = {**deepcopy(balancer), **kvm, "source": "kvm-postgres-load-balancer"}
    tree["haproxy"] = {
        "postgres_domain": "server.postgres.local",
        "postgres_nodes_max_count": 3,
        "postgres_nameserver_ips": ["10.0.0.53"],
    }
    return {**tree, "libvirt_network": ON_A_NETWORK}


@pytest.fixture
def old_server(kvm: Tree, server: Tree) -> Tree:
    named = {"postgres_image": "postgres:12.9", "postgres_user": "me", "postgres_database": "db"}
    network = {"network_id": "b10c", "ip": "10.1.0.1"}
    return {**server, **kvm, **named, **network, "source": "kvm-postgres-server"}


@pytest.fixture
def old_patroni(kvm: Tree, patroni: Tree) -> Tree:
    return {**patroni, **kvm, "source": "kvm-patroni-server", "macvtap_interfaces": [SHARED]}


def test_modules_of_old_make_the_same_machines(
    make: Make, old_etcd: Tree, old_balancer: Tree, old_server: Tree, old_patroni: Tree
) -> None:
    for tree in (old_etcd, old_balancer, old_server, old_patroni):
        ours = {**tree, "source": tree["source"].removeprefix("kvm-"), "ssh_admin_user": "ubuntu"}
        assert _guest(make, tree) == _guest(make, ours)


@pytest.mark.parametrize("key", ["volume_id", "cloud_init_volume_pool", "ssh_admin_public_key"])
def test_modules_of_old_are_told_everything(key: str, make: Make, old_etcd: Tree) -> None:
    del old_etcd[key]
    with pytest.raises(SpecError, match=rf"{key}: (this key )?is required"):
        _guest(make, old_etcd)


def test_modules_of_old_may_clone_their_disk(make: Make, old_etcd: Tree) -> None:
    del old_etcd["volume_id"]
    made = _guest(make, old_etcd, image="ubuntu", os_size=30).guest.os_disk
    assert made == Disk("os", base="ubuntu", size=30)


def test_modules_of_old_name_their_network_and_address(make: Make, old_server: Tree) -> None:
    with pytest.raises(SpecError, match="needs an interface"):
        _guest(make, old_server, network_id="")
    with pytest.raises(SpecError, match="ip: is required"):
        _guest(make, old_server, ip="")
    with pytest.raises(SpecError, match="macvtap_subnet_prefix_length: is required"):
        _guest(make, old_server, network_id="", macvtap_interface="ens3")


@pytest.mark.parametrize("key", ["postgres_image", "postgres_user", "postgres_database", "ca"])
def test_the_server_of_old_has_no_default_for(key: str, make: Make, old_server: Tree) -> None:
    del old_server[key]
    with pytest.raises(SpecError, match=rf"{key}: (this key )?is required"):
        _guest(make, old_server)


def test_macvtap_interfaces_of_old_have_a_prefix_length(make: Make, old_patroni: Tree) -> None:
    interface = {"interface": "ens3", "ip": "10.1.0.1"}
    with pytest.raises(SpecError, match="needs prefix_length"):
        _guest(make, old_patroni, macvtap_interfaces=[interface])
    with pytest.raises(SpecError, match=r"macvtap_interfaces.*is required"):
        _guest(make, old_patroni, macvtap_interfaces=[{"interface": "ens3", "prefix_length": 24}])


def test_the_balancer_of_old_has_one_kind_of_interface(make: Make, old_balancer: Tree) -> None:
    with pytest.raises(SpecError, match="instead of a libvirt network"):
        _guest(make, old_balancer, macvtap_interfaces=[{**SHARED, "ip": "10.2.0.1"}])
    del old_balancer["libvirt_network"]
    assert _guest(make, old_balancer, macvtap_interfaces=[SHARED]).address == "10.1.0.1"


def test_the_balancer_of_old_finds_members_by_name(
    make: Make, old_balancer: Tree, balancer: Tree
) -> None:
    with pytest.raises(SpecError, match=r"postgres_domain: is required"):
        _guest(make, {**old_balancer, "haproxy": balancer["haproxy"]})


def test_the_gateway_of_old_takes_no_certificates(make: Make, old_etcd: Tree, etcd: Tree) -> None:
    both = {"grpc_gateway_enabled": True, "client_cert_auth": True}
    with pytest.raises(SpecError, match=r"client_cert_auth: must be false where"):
        _guest(make, old_etcd, etcd=both)
    _guest(make, etcd, etcd=both)
    _guest(make, old_etcd, etcd={"grpc_gateway_enabled": True, "client_cert_auth": False})
