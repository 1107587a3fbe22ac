"""The machines of a cluster in its short form: sizes and all, on virtual machines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pgstead.errors import SpecError
from pgstead.spec import Stack, expand, loads
from pgstead.spec.libvirt import LibvirtPlatform

ROLES = ("etcd-1", "postgres-1", "load-balancer-1")


def stack(cluster: str = "", platform: str = "kind: libvirt") -> Stack:
    text = f"name: shop\nplatform: {{{platform}}}\ncluster: {{{cluster}}}\n"
    return loads(text, folder=Path("/stacks"), environ={})


def of(made: Stack, name: str, *keys: str) -> list[Any]:
    return [made.modules[name].variables.get(key) for key in keys]


def test_every_role_has_a_size_by_default() -> None:
    made = stack()
    sizes = [of(made, role, "vcpus", "memory", "os_size", "data_size") for role in ROLES]
    assert sizes == [[2, 2048, 10, 18], [2, 4096, 10, 20], [1, 1024, 10, None]]
    assert of(made, "postgres-1", "patroni_install", "package_source") == ["venv", "distribution"]
    assert made.modules["postgres-1"].variables["patroni"]["watchdog"] == "softdog"
    for role in ROLES:
        assert of(made, role, "install_dependencies", "autostart") == [True, True]
        assert made.modules[role].variables["node_exporter"] == {"enabled": True, "port": 9100}
        assert made.modules[role].variables["chrony"]["enabled"] is False


def test_the_platforms_sizes_stand_for_what_a_role_leaves_out() -> None:
    given = "kind: libvirt, os_size: 6, data_size: 7"
    made = stack("postgres: {machine: {os_size: 30, data_size: 100}}", given)
    sizes = [of(made, role, "os_size", "data_size") for role in ROLES]
    assert sizes == [[6, 7], [30, 100], [6, None]]


def test_etcds_disk_has_room_for_its_quota_twice() -> None:
    made = stack("etcd: {space_quota: 2147483648}")
    assert of(made, "etcd-1", "data_size") == [6]


def test_a_role_may_do_without_a_data_disk() -> None:
    made = stack("etcd: {machine: {data_size: 0}}", "kind: libvirt, data_size: 7")
    assert of(made, "etcd-1", "data_size") == [0]


def test_what_is_given_is_passed_on() -> None:
    made = stack(
        "postgres: {watchdog: 'off', patroni_version: 4.0.5, machine: {image: big.qcow2}},"
        f"etcd: {{download: {{url: 'https://e/e.tar.gz', sha256: {'0' * 64}}}}},"
        "machines: {install_dependencies: false, node_exporter: {enabled: false},"
        " chrony: {enabled: true, servers: [{url: ntp.example.org, options: [iburst]}]}}"
    )
    assert of(made, "postgres-1", "patroni_version", "image") == ["4.0.5", "big.qcow2"]
    assert made.modules["postgres-1"].variables["patroni"]["watchdog"] == "off"
    assert made.modules["etcd-1"].variables["etcd_download"]["url"] == "https://e/e.tar.gz"
    for role in ROLES:
        assert of(made, role, "install_dependencies") == [False]
        assert made.modules[role].variables["node_exporter"]["enabled"] is False
        assert made.modules[role].variables["chrony"]["servers"][0]["options"] == ["iburst"]


def test_elsewhere_only_what_is_given_is_written() -> None:
    plain = stack("", "kind: local")
    assert not {"vcpus", "chrony", "node_exporter"} & plain.modules["etcd-1"].variables.keys()
    assert "watchdog" not in plain.modules["postgres-1"].variables["patroni"]
    given = stack("etcd: {machine: {vcpus: 4}}", "kind: local")
    assert of(given, "etcd-1", "vcpus", "memory") == [4, None]


def test_members_are_spread_over_zones() -> None:
    made = stack(
        "etcd: {machine: {availability_zones: [az-1, az-2], flavor: small}},"
        " postgres: {machine: {boot_from_volume: true, volume_type: fast}}",
        "kind: memory",
    )
    zones = [of(made, f"etcd-{number}", "availability_zone") for number in (1, 2, 3)]
    assert zones == [["az-1"], ["az-2"], ["az-1"]]
    assert of(made, "etcd-1", "flavor", "availability_zones") == ["small", None]
    names = ("availability_zone", "boot_from_volume", "volume_type", "data_size")
    assert of(made, "postgres-1", *names) == [None, True, "fast", None]


def test_in_a_cloud_data_has_a_volume_of_its_own() -> None:
    made = stack("", "kind: openstack, flavor: m1.small, image: debian")
    assert [of(made, role, "data_size", "os_size", "vcpus") for role in ROLES] == [
        [18, None, None],
        [20, None, None],
        [None, None, None],
    ]
    given = stack("etcd: {machine: {data_size: 0}}", "kind: openstack, data_size: 7")
    assert [of(given, role, "data_size") for role in ROLES] == [[0], [7], [None]]


def test_what_no_ssh_reaches_is_synced_as_it_is_copied() -> None:
    made = stack("", "kind: openstack, delivery: user_data")
    assert made.modules["postgres-1"].variables["patroni"]["bootstrap_without_sync"] is False


def test_expanded_it_means_the_same() -> None:
    made = stack("etcd: {machine: {memory: 4096}}, machines: {chrony: {enabled: true}}")
    again = loads(expand(made), folder=Path("/stacks"), environ={})
    assert again.modules == made.modules
    assert expand(again) == expand(made)


def test_an_impossible_size_is_refused() -> None:
    with pytest.raises(SpecError, match=r"cluster\.postgres\.machine\.memory: must be at least"):
        stack("postgres: {machine: {memory: 1}}")
    with pytest.raises(SpecError, match="data_size"):
        stack("load_balancer: {machine: {data_size: 1}}")


@pytest.mark.parametrize(
    ("given", "image"),
    [
        ("debian.qcow2", "debian.qcow2"),
        ("images/debian.qcow2", "images/debian.qcow2"),
        ("/srv/debian.qcow2", "/srv/debian.qcow2"),
        ("./debian.qcow2", "/stacks/debian.qcow2"),
        ("../debian.qcow2", "/stacks/../debian.qcow2"),
    ],
)
def test_an_images_file_starts_from_the_stack_file(given: str, image: str) -> None:
    made = stack(
        "", f"kind: libvirt, image: {given}, hosts: {{a: {{uri: 'x://a', image: {given}}}}}"
    )
    assert isinstance(made.platform, LibvirtPlatform)
    assert made.platform.image == image
    assert made.platform.hosts["a"].image == image
