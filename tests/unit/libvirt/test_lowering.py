"""From machines to resources, domains and names: pure, and valid by libvirt's own schema."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("libvirt")

from pgstead.engine.resource import Recorded
from pgstead.machine import Disk, Nic, OnChange, Size
from pgstead.platforms.guests.keys import derived
from pgstead.platforms.guests.spreading import spread
from pgstead.platforms.libvirt import domain_xml, networks
from pgstead.platforms.libvirt.platform import LibvirtPlatform
from pgstead.platforms.libvirt.seed import seed_image
from pgstead.redaction import redact
from pgstead.spec.libvirt import LibvirtPlatform as Settings
from support.dummy_guest import seed_files
from support.machines import machine

UUID = "6b2f4c2e-6c1b-5c52-9d3a-4c9f2c1f7a55"


def platform(recorded: dict[str, Recorded] | None = None, **settings: Any) -> LibvirtPlatform:
    given = {"uri": "test:///default", **settings}
    if "hosts" in settings:
        del given["uri"]
    return LibvirtPlatform(
        Settings.model_validate(given),
        "shop",
        "0123",
        secret=str,
        folder=Path("/nowhere"),
        recorded=lambda: recorded or {},
    )


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def domain(**values: Any) -> domain_xml.Domain:
    given: dict[str, Any] = {
        "name": "a<b",
        "uuid": UUID,
        "title": "a & b",
        "memory": 512,
        "vcpus": 2,
        "virt_type": "qemu",
        "disks": [
            domain_xml.DomainDisk("default", "a-os", "qcow2", "vda", "os", boot=True),
            domain_xml.DomainDisk("default", "a-data", "qcow2", "vdb", "pgstead-data"),
        ],
        "wires": [
            domain_xml.Wire("52:54:00:00:00:01", network="default"),
            domain_xml.Wire("52:54:00:00:00:02", macvtap="ens3"),
        ],
        "seed": domain_xml.DomainDisk("default", "a-seed.iso", "raw", "sda", ""),
        "metadata": {"stack": "<shop>"},
        **values,
    }
    return domain_xml.Domain(**given)


@pytest.mark.skipif(shutil.which("virt-xml-validate") is None, reason="libvirt-clients is missing")
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"seed": None, "cpu": "qemu64", "machine_type": "q35", "watchdog": "i6300esb"},
        {"cpu": "host-passthrough", "virt_type": "kvm"},
        {"cpu": "maximum"},
    ],
)
def test_a_domain_is_valid_by_libvirts_schema(tmp_path: Path, values: dict[str, Any]) -> None:
    file = tmp_path / "domain.xml"
    file.write_text(domain_xml.domain_xml(domain(**values)), encoding="utf-8")
    done = subprocess.run(
        ["virt-xml-validate", str(file), "domain"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_domain_is_read_back() -> None:
    tree = domain_xml.parsed(domain_xml.domain_xml(domain()))
    assert domain_xml.wired(domain_xml.wires(tree)) == (
        "52:54:00:00:00:01@network:default 52:54:00:00:00:02@macvtap:ens3"
    )
    assert domain_xml.sources(tree)["sda"] == "default/a-seed.iso"
    changed = domain_xml.parsed(
        domain_xml.resized(domain_xml.domain_xml(domain()), vcpus=4, memory=1024)
    )
    assert (changed.findtext("vcpu"), changed.findtext("memory")) == ("4", "1024")


def test_members_of_a_kind_are_spread_and_stay_where_they_are() -> None:
    names = [machine(f"m{number}") for number in range(4)]
    assert list(spread(names, ("a", "b"), {}, key="host").values()) == ["a", "b", "a", "b"]
    there = Recorded("machine.m0", "machine", {}, place={"host": "b"})
    placed = spread(names, ("a", "b", "c"), {"machine.m0": there}, key="host")
    assert placed == {"m0": "b", "m1": "a", "m2": "c", "m3": "a"}


def test_the_platform_fills_in_what_a_machine_leaves_open() -> None:
    wanted = machine(os_disk=Disk("os"), data_disk=None, size=Size(1, 64))
    wanted = replace(wanted, guest=replace(wanted.guest, nics=()))
    given = platform(image="base.qcow2", os_size=8, data_size=3, prefix_length=24)
    (resource,) = given.lower([wanted], digest)
    guest = resource.body.guest
    assert (guest.os_disk.base, guest.os_disk.size, guest.os_disk.pool) == (
        "base.qcow2",
        8,
        "default",
    )
    assert (guest.data_disk.size, guest.data_disk.mount) == (3, "/var/lib/thing")
    assert guest.nics[0].mac.startswith("52:54:00:")
    assert resource.place["host"] == "host"
    assert set(resource.place["volumes"]) == {"os", "data", "seed"}


def test_volumes_of_others_are_not_the_stacks_own() -> None:
    given = machine(os_disk=Disk("os", volume_id="/x/os"), data_disk=Disk("data", volume_id="/x/d"))
    (resource,) = platform().lower([given], digest)
    assert set(resource.place["volumes"]) == {"seed"}
    recorded = Recorded(resource.address, resource.kind, resource.values, place=resource.place)
    kept = platform({resource.address: recorded}).keeps_data("thing-1")
    assert kept is None, "that is for its service to know"


def test_what_each_change_takes() -> None:
    (resource,) = platform().lower([machine()], digest)
    effects = {key: one.on_change for key, one in resource.attributes.items()}
    assert effects["image"] is effects["interfaces"] is effects["admin"] is OnChange.REPLACE
    assert effects["vcpus"] is effects["memory"] is OnChange.RESTART
    assert effects["disk:data"] is effects["autostart"] is OnChange.RELOAD
    before = Recorded(resource.address, "machine", {"disk:data": 5})
    (smaller,) = platform({resource.address: before}).lower([machine()], digest)
    assert smaller.attributes["disk:data"].on_change is OnChange.REFUSE


def test_without_a_way_in_software_is_one_thing_that_replaces() -> None:
    (resource,) = platform(reach="none").lower([machine()], digest)
    assert resource.attributes["software"].on_change is OnChange.REPLACE
    assert not any(key.startswith("file:") for key in resource.attributes)


def test_keys_follow_from_the_secret_and_openssh_takes_them(tmp_path: Path) -> None:
    key = derived("secret", "host a")
    assert key == derived("secret", "host a") != derived("secret", "host b")
    file = tmp_path / "key"
    file.write_text(key.private)
    file.chmod(0o600)
    done = subprocess.run(
        ["ssh-keygen", "-y", "-f", str(file)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[:2] == key.public.split()[:2]


def test_derived_keys_are_taken_out_of_texts() -> None:
    key = derived("secret", "host redacted")
    indented = "\n".join(f"    {line}" for line in key.private.splitlines())
    for text in (key.private, indented):
        said = redact(text)
        assert not any(line in said for line in key.private.splitlines()[1:-1])
    assert redact(key.public) == key.public


def test_an_interface_without_a_mac_address_always_has_the_same_one() -> None:
    def macs(name: str) -> list[str]:
        wanted = machine(name)
        free = replace(wanted.guest, nics=(Nic("10.99.0.11", 24), Nic("10.99.1.11", 24)))
        (resource,) = platform().lower([replace(wanted, guest=free)], digest)
        return [nic.mac for nic in resource.body.guest.nics]

    first = macs("a")
    assert all(re.fullmatch("52:54:00(:[0-9a-f]{2}){3}", mac) for mac in first)
    assert first == macs("a")
    assert len({*first, *macs("b")}) == 4


def test_a_seed_is_an_iso_that_holds_the_texts(tmp_path: Path) -> None:
    given = {"meta-data": "m", "network-config": "n", "user-data": "ü" * 5000}
    (tmp_path / "seed.iso").write_bytes(seed_image(given))
    assert seed_files(tmp_path / "seed.iso") == given
    assert (tmp_path / "seed.iso").read_bytes()[32768 + 40 :].startswith(b"cidata")


def test_a_network_leaves_out_the_hosts_and_dhcps_addresses() -> None:
    tree = domain_xml.parsed(
        "<network><name>n</name><forward mode='nat'/>"
        "<ip address='10.0.0.1' netmask='255.255.255.248'>"
        "<dhcp><range start='10.0.0.4' end='10.0.0.6'/></dhcp></ip></network>"
    )
    ip = tree.find("ip")
    assert ip is not None
    assert list(networks._subnet(tree, ip).free({"10.0.0.3"})) == ["10.0.0.2"]
    text = networks.network_xml("things", UUID, "10.20.0.0/24", "isolated")
    assert "10.20.0.1" in text
    assert "forward" not in text


def test_the_test_driver_takes_networks_and_addresses() -> None:
    given = platform(network="default", addresses="192.168.122.200-192.168.122.201")
    assert given.allocate(["a", "b"], {}) == {"a": "192.168.122.200", "b": "192.168.122.201"}
