"""Containers: what a machine becomes there, and the folders it is made of."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

pytest.importorskip("libvirt")

from pgstead.errors import PlatformError
from pgstead.platforms.cloud_init.script import first_boot_script
from pgstead.platforms.libvirt import folders
from pgstead.platforms.libvirt.connection import Host
from pgstead.platforms.libvirt.domain_xml import Domain, DomainDisk, Wire, wired, wires
from pgstead.platforms.libvirt.drivers import driver_of, rootfs
from pgstead.platforms.libvirt.platform import LibvirtPlatform
from pgstead.spec.libvirt import LibvirtPlatform as Settings
from support.machines import machine

UUID = "6b2f4c2e-6c1b-5c52-9d3a-4c9f2c1f7a55"
SYSTEM = DomainDisk("default", "a-os", "dir", "vda", "os", True, "/pool/a-os")
DATA = DomainDisk("default", "a-data", "dir", "vdb", "d", False, "/pool/a-data", "/var/lib/<thing")
SEED = DomainDisk("default", "a-seed", "dir", "sda", "", path="/pool/a-seed")


def host(uri: str = "lxc:///system") -> Host:
    return Host("here", uri, "default", "default", None, None)


def domain(seed: DomainDisk | None = SEED) -> Domain:
    return Domain(
        name="a<b",
        uuid=UUID,
        title="a & b",
        memory=512,
        vcpus=2,
        virt_type="lxc",
        disks=[SYSTEM, DATA],
        wires=[
            Wire("52:54:00:00:00:01", network="default"),
            Wire("52:54:00:00:00:02", macvtap="ens3"),
        ],
        seed=seed,
        metadata={"stack": "<shop>"},
    )


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("lxc:///system", "lxc"),
        ("lxc+unix:///system?socket=/x", "lxc"),
        ("qemu+ssh://root@a/system", None),
    ],
)
def test_the_uri_says_what_machines_are(uri: str, kind: str | None) -> None:
    assert driver_of(host(uri)).virt_type == kind


@pytest.mark.skipif(shutil.which("virt-xml-validate") is None, reason="libvirt-clients is missing")
@pytest.mark.parametrize("seed", [SEED, None])
def test_a_container_is_valid_by_libvirts_schema(tmp_path: Path, seed: DomainDisk | None) -> None:
    file = tmp_path / "domain.xml"
    file.write_text(driver_of(host()).xml(domain(seed)), encoding="utf-8")
    done = subprocess.run(
        ["virt-xml-validate", str(file), "domain"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_container_is_read_back() -> None:
    tree = ET.fromstring(driver_of(host()).xml(domain()))
    assert wired(wires(tree)) == (
        "52:54:00:00:00:01@network:default 52:54:00:00:00:02@macvtap:ens3"
    )
    assert driver_of(host()).has_seed(tree)
    assert not driver_of(host()).has_seed(ET.fromstring(driver_of(host()).xml(domain(None))))
    arguments = [each.text for each in tree.iterfind("os/initarg")]
    assert arguments[-1] == "/var/lib/<thing"
    script = str(arguments[1])
    done = subprocess.run(["sh", "-n", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_sizes_and_mac_addresses_do_not_decide_in_a_container() -> None:
    given = LibvirtPlatform(
        Settings.model_validate({"uri": "lxc:///system", "image": "root.tar"}),
        "shop",
        "0123",
        secret=str,
        folder=Path("/nowhere"),
    )
    digest = hashlib.sha256
    (resource,) = given.lower([machine()], lambda text: digest(text.encode()).hexdigest())
    assert not [key for key in resource.attributes if key.startswith("disk:")]
    assert [nic.match for nic in resource.body.guest.nics] == ["eth0"]
    assert set(resource.place["volumes"]) == {"os", "data", "seed"}
    assert not given.resolve().has_watchdog


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"reach": "guest_agent"}, "containers have no agent"),
        ({"macvtap": "ens3"}, "nothing on their host reaches them"),
        ({"cpu": "qemu64"}, "is of virtual machines"),
    ],
)
def test_what_containers_cannot_have_is_refused(settings: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Settings.model_validate({"uri": "lxc:///system", **settings})
    Settings.model_validate({"uri": "qemu:///system", **settings})


def test_data_in_a_folder_gets_its_owner_and_no_file_system() -> None:
    script = first_boot_script(machine(), ())
    assert "mkfs" not in script
    assert 'chown -R thing:"$(id -gn thing)" "$mount"' in script
    without = machine()
    without = replace(without, guest=replace(without.guest, data_disk=None))
    assert "mount=" not in first_boot_script(without, ())


def test_an_image_is_unpacked_once_and_again_if_that_was_interrupted(tmp_path: Path) -> None:
    source, root = tmp_path / "source", tmp_path / "root"
    (source / "etc").mkdir(parents=True)
    (source / "etc/fstab").write_text("LABEL=x / ext4 defaults 0 1\n")
    (source / "etc/hostname").write_text("localhost\n")
    with tarfile.open(tmp_path / "root.tar", "w") as archive:
        archive.add(source, ".")
    (root / "half").mkdir(parents=True)
    rootfs.fill(root, tmp_path / "root.tar")
    assert {each.name for each in root.iterdir()} == {"etc", ".pgstead"}
    assert (root / "etc/fstab").read_text() == ""
    (root / "etc/hostname").write_text("kept\n")
    rootfs.fill(root, tmp_path / "root.tar")
    assert (root / "etc/hostname").read_text() == "kept\n"


def test_what_is_no_tar_and_where_containers_cannot_be_made(tmp_path: Path) -> None:
    image = tmp_path / "image.qcow2"
    image.write_bytes(b"QFI\xfb" + bytes(2000))
    with pytest.raises(PlatformError, match="no tar of a root file system") as caught:
        rootfs.unpack(host(), "default", image, "-x")
    assert "--rootfs" in (caught.value.hint or "")
    with pytest.raises(PlatformError, match="containers cannot be made on here from here"):
        rootfs.make(host("lxc+ssh://root@a/system"), "default", "x")


def test_a_folder_is_cleared_with_what_links_lead_to_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").write_text("x")
    (tmp_path / "kept").mkdir()
    (tmp_path / "a/link").symlink_to(tmp_path / "kept")
    folders.clear(str(tmp_path / "a"))
    assert folders.is_empty(str(tmp_path / "a"))
    assert (tmp_path / "kept").is_dir()
    assert folders.is_empty(str(tmp_path / "nowhere"))
    with pytest.raises(PlatformError, match="nowhere"):
        folders.clear(str(tmp_path / "nowhere"))
