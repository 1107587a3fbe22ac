"""What `pgstead render` writes: files, cloud-init, domains; secrets left out; no host needed."""

from __future__ import annotations

import base64
import email
import json
import shlex
from datetime import UTC, datetime
from email.message import Message
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from pgstead import redaction
from pgstead.certificates import CertificateRequest, issue, make_authority
from pgstead.errors import PlatformError, SpecError, Unreachable
from pgstead.modules.base import Facts
from pgstead.operations.render import Rendered, render
from pgstead.operations.standing_in import StandIns
from pgstead.render import conf_string, yaml_scalar

DOWN = "qemu+unix:///system?socket=/nowhere"
CONSOLE, DATABASE, PULLING = "given-on-a-console", 'pöst"gres-\\given', "the-registry's-own"


def module(**values: Any) -> dict[str, Any]:
    return {
        "source": "postgres-server",
        "name": "db-1",
        "ca": "ca",
        "key_length": None,  # of another kind, which is made at once
        "postgres_image": "postgres:15",
        "postgres_password": DATABASE,
        "admin_user_password": CONSOLE,
        "container_registry": {"url": "https://registry", "username": "us", "password": PULLING},
        **values,
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("OS_CLOUD", "OS_AUTH_URL", "OS_CLIENT_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def rendered(
    folder: Path, platform: dict[str, Any], *, show_secrets: bool = False, **values: Any
) -> tuple[Rendered, Path]:
    """What was said, and the folder of the machine."""
    stack = {
        "version": 1,
        "name": "shown",
        "platform": platform,
        "certificate_authorities": {"ca": {}},
        "modules": {"db": module(**values)},
    }
    file = folder / "stack.yaml"
    file.write_text(yaml.safe_dump(stack, allow_unicode=True), encoding="utf-8")
    told = render(file, folder / "out", show_secrets=show_secrets)
    return told, folder / "out/db-1"


def libvirt(**settings: Any) -> dict[str, Any]:
    pytest.importorskip("libvirt")
    return {"kind": "libvirt", "uri": DOWN, "image": "base.qcow2", **settings}


def parts(text: str) -> dict[str, str]:
    """The cloud-configs of user data, as cloud-init reads them."""
    found = {}
    for part in email.message_from_string(text).walk():
        assert isinstance(part, Message)
        if part.get_content_type() == "text/cloud-config":
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            found[str(part.get_filename())] = content.decode()
    return found


def written(text: str) -> dict[str, str]:
    """The files that user data writes."""
    found: dict[str, str] = {}
    for part in parts(text).values():
        for file in yaml.safe_load(part).get("write_files", []):
            found[file["path"]] = file["content"]
    return found


def everything(folder: Path) -> str:
    """All that was written, user data decoded as well."""
    texts = [one.read_text(encoding="utf-8") for one in folder.rglob("*") if one.is_file()]
    return "\n".join([*texts, *(part for text in texts for part in parts(text).values())])


def test_a_machine_without_its_host_is_told_in_words(folder: Path) -> None:
    told, machine = rendered(folder, libvirt())
    network = yaml.safe_load((machine / "cloud-init/network-config").read_text())
    nic = network["ethernets"]["nic0"]
    assert nic["addresses"] == ["(address of db-1)/(the prefix length of its network)"]
    assert nic["routes"][0]["via"] == "(the gateway of its network, if that has one)"
    text = (machine / "domain.xml").read_text()
    assert "type: kvm where a guest is seen to run with KVM on the host" in text
    assert ET.fromstring(text).findtext("name") == "db-1"
    assert "192.0.2." not in everything(folder / "out")
    (warning,) = told.warnings
    assert f"cannot connect to {DOWN}" in warning
    assert told.files == sum(one.is_file() for one in machine.rglob("*"))


def test_what_the_stack_file_says_needs_no_host(folder: Path) -> None:
    own = {"networks": {"lab": {"subnet": "10.9.0.0/24"}}, "network": "lab"}
    told, machine = rendered(folder, libvirt(virt_type="qemu", cpu="qemu64", **own))
    assert told.warnings == ()
    network = yaml.safe_load((machine / "cloud-init/network-config").read_text())
    nic = network["ethernets"]["nic0"]
    assert nic["addresses"] == ["10.9.0.254/24"]
    assert nic["routes"] == [{"to": "default", "via": "10.9.0.1"}]
    text = (machine / "domain.xml").read_text()
    assert "KVM" not in text
    tree = ET.fromstring(text)
    assert tree.get("type") == "qemu"
    assert [one.get("network") for one in tree.iterfind("devices/interface/source")] == ["lab"]
    mac = tree.find("devices/interface/mac")
    assert mac is not None
    assert nic["match"]["macaddress"] == mac.get("address")


def test_volumes_and_networks_of_others_are_told_in_words(folder: Path) -> None:
    interface = {"network_id": "6b2f4c2e", "ip": "10.9.0.5", "mac": "52:54:00:00:00:01"}
    _, machine = rendered(
        folder,
        libvirt(prefix_length=24, gateway="10.9.0.1"),
        volume_id="/pool/os",
        data_volume_id="/pool/data",
        libvirt_network=interface,
    )
    tree = ET.fromstring((machine / "domain.xml").read_text())
    sources = [dict(one.attrib) for one in tree.iterfind("devices/disk/source")]
    assert sources[0] == {"pool": "(the pool of /pool/os)", "volume": "(the name of /pool/os)"}
    assert sources[1]["volume"] == "(the name of /pool/data)"
    network = tree.find("devices/interface/source")
    assert network is not None
    assert network.get("network") == "(the name of the network 6b2f4c2e)"


def test_a_container_is_told_as_one(folder: Path) -> None:
    settings = libvirt(uri="lxc:///nowhere", prefix_length=24, gateway="10.9.0.1")
    _, machine = rendered(folder, settings, postgres_image=None, ip="10.9.0.5")
    tree = ET.fromstring((machine / "domain.xml").read_text())
    assert tree.get("type") == "lxc"
    folders = [one.get("dir", "") for one in tree.iterfind("devices/filesystem/source")]
    assert all(one.startswith("(the folder of the pool default)/db-1-") for one in folders)
    network = yaml.safe_load((machine / "cloud-init/network-config").read_text())
    assert network["ethernets"]["nic0"]["match"] == {"name": "eth0"}


@pytest.mark.parametrize("kind", ["libvirt", "openstack"])
def test_no_secret_is_shown_unasked(folder: Path, kind: str) -> None:
    settings = {
        "libvirt": libvirt(prefix_length=24, gateway="10.9.0.1"),
        "openstack": {"kind": "openstack", "delivery": "user_data"},
    }[kind]
    pytest.importorskip(kind)
    _, machine = rendered(folder, settings, ip="10.9.0.5", data_size=1)
    text = everything(folder / "out")
    user_data = (machine / "cloud-init/user-data").read_text()
    login = base64.b64encode(f"us:{PULLING}".encode()).decode()
    kept = (CONSOLE, DATABASE, PULLING, login, "pöst", "given", "PRIVATE KEY-----\nM")
    assert not [one for one in kept if one in text]
    files = written(user_data)
    assert "POSTGRES_PASSWORD=***" in files["/etc/postgresql/container.env"]
    (user,) = yaml.safe_load(parts(user_data)["access.yml"])["users"]
    assert user["plain_text_passwd"] == "***"
    unit = (machine / "etc/postgresql/container.env").stat().st_mode & 0o777
    assert unit == 0o644


def test_secrets_that_are_asked_for_are_the_owners_alone(folder: Path) -> None:
    settings = libvirt(prefix_length=24, gateway="10.9.0.1")
    _, machine = rendered(folder, settings, show_secrets=True, ip="10.9.0.5")
    user_data = machine / "cloud-init/user-data"
    assert user_data.stat().st_mode & 0o777 == 0o600
    files = written(user_data.read_text())
    assert DATABASE in files["/etc/postgresql/container.env"]
    key = machine / "etc/postgresql/tls/server.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert files["/etc/postgresql/tls/server.key"] == key.read_text()
    assert key.read_text().startswith("-----BEGIN PRIVATE KEY-----\nM")
    assert CONSOLE in parts(user_data.read_text())["access.yml"]


def test_a_server_of_a_cloud_that_does_not_answer(folder: Path) -> None:
    pytest.importorskip("openstack")
    told, machine = rendered(folder, {"kind": "openstack", "cloud": "nowhere"})
    config = yaml.safe_load(parts((machine / "cloud-init/user-data").read_text())["access.yml"])
    assert config["hostname"] == "db-1"
    assert "cannot connect to the cloud" in told.warnings[0]
    assert sorted(one.name for one in (machine / "cloud-init").iterdir()) == ["user-data"]


def test_a_local_machine_is_its_files_alone_and_a_full_folder_is_left_alone(folder: Path) -> None:
    told, machine = rendered(folder, {"kind": "memory"}, postgres_image=None)
    assert told.warnings == ()
    assert sorted(one.name for one in machine.iterdir()) == ["etc"]
    (folder / "out/.rendered").unlink()
    with pytest.raises(SpecError, match="is not empty"):
        rendered(folder, {"kind": "memory"}, postgres_image=None)


def test_stand_ins_are_told_apart_and_given_once() -> None:
    def nobody(*_: object) -> dict[str, str]:
        raise Unreachable("nobody answers")

    stand_ins = StandIns()
    allocate = stand_ins.allocate(nobody)
    names = [f"m{number}" for number in range(12)]
    found = allocate(names, {"other": "192.0.2.1"})
    assert found["m0"] == "192.0.2.2"
    assert allocate(names, {}) == found
    text = " ".join(f"{one}:5432" for one in found.values())
    assert stand_ins.told(text) == " ".join(f"(address of {one}):5432" for one in names)
    assert (
        stand_ins.told("1192.0.2.2 192.0.2.21 10.192.0.2.2") == "1192.0.2.2 192.0.2.21 10.192.0.2.2"
    )
    facts = stand_ins.facts(Facts("openstack", port_address=nobody))  # type: ignore[arg-type]
    assert stand_ins.told(f"{facts.port_address('p1')}.") == "(address of the port p1)."
    with pytest.raises(PlatformError, match="more machines than made-up addresses"):
        allocate([f"n{number}" for number in range(762)], {})


def test_keys_that_the_stack_file_gives_are_hidden_line_by_line(folder: Path) -> None:
    ours = make_authority("ours", "test")
    request = CertificateRequest("etcd", "ours", "etcd", "test", ("10.0.0.1",), client=True)
    pair = issue(request, ours, now=datetime.now(UTC))
    member = {
        "source": "etcd-server",
        "name": "etcd-1",
        "ip": "10.0.0.1",
        "cluster": {"initial_members": [{"name": "etcd-1", "ip": "10.0.0.1"}]},
        "tls": {
            "ca_cert": ours.certificate,
            "server_cert": pair.certificate,
            "server_key": pair.key,
        },
    }
    file = folder / "stack.yaml"
    stack = {"name": "given", "platform": {"kind": "memory"}, "modules": {"etcd": member}}
    file.write_text(yaml.safe_dump(stack))
    render(file, folder / "out", show_secrets=False)
    text = everything(folder / "out")
    # Not all of it: the end of a key is its public half, which certificates hold as well.
    assert pair.certificate.splitlines()[1] in text
    body = [line for line in pair.key.splitlines() if not line.startswith("-----")]
    assert body
    assert not [line for line in body if line in text]


def test_a_secret_is_found_within_the_quotes_of_any_format() -> None:
    secret = 'it\'s \\ a "quöted" one'
    redaction.remember([secret])
    quoted = (
        secret,
        json.dumps(secret),
        yaml_scalar(secret),
        conf_string(secret),
        shlex.quote(secret),
    )
    assert [one for one in quoted if "a " in redaction.redact(one)] == []
