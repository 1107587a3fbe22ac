"""What every module's and every example's machines are told is valid by others' schemas."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from email import message_from_string
from pathlib import Path

import pytest

pytest.importorskip("libvirt")

from pgstead.machine import Machine
from pgstead.modules.base import Context, Facts
from pgstead.modules.build import build
from pgstead.modules.fake import FakeMaterials
from pgstead.modules.registry import KINDS
from pgstead.platforms.cloud_init import Access, conventional, whole_user_data
from pgstead.platforms.libvirt.domain_xml import Domain, DomainDisk, Wire, domain_xml
from pgstead.spec import load

ACCESS = Access(("ssh-ed25519 BBBB pgstead",), ("PRIVATE\nKEY\n", "ssh-ed25519 CCCC"), ("agent",))
PYTHON = "/usr/bin/python3"
"""The interpreter of Debian's cloud-init."""

CHECK = """
import json, sys
import yaml
from cloudinit.config.schema import SchemaValidationError, validate_cloudconfig_schema
for name, text in json.load(sys.stdin).items():
    try:
        validate_cloudconfig_schema(yaml.safe_load(text), strict=True)
    except SchemaValidationError as error:
        print(name, error)
"""

needs_cloud_init = pytest.mark.skipif(
    shutil.which("cloud-init") is None, reason="cloud-init is not installed"
)
needs_libvirt = pytest.mark.skipif(
    shutil.which("virt-xml-validate") is None, reason="libvirt-clients is missing"
)


@pytest.fixture(scope="session")
def guests(project: Path, examples: Path) -> dict[str, Machine]:
    """Every machine of the golden files' stacks and of the examples, as a guest."""
    golden = sorted((project / "tests" / "golden").glob("*/stack.yaml"))
    shown = [project / "examples" / "libvirt.yaml", *sorted(examples.glob("*.yaml"))]
    found = {}
    for file in [*golden, *shown]:
        stack = load(file, environ={})
        if stack.platform.kind == "local":
            continue
        context = Context(Facts(stack.platform.kind), FakeMaterials())
        for machine in build(stack, context).machines:
            found[f"{file.parent.name}/{file.stem}: {machine.name}"] = _lowered(machine)
    return found


def _lowered(machine: Machine) -> Machine:
    """As a platform of guests has it: places, and a first user."""
    admin = machine.guest.admin
    named = replace(admin, user=admin.user or "pgstead")
    return conventional(replace(machine, guest=replace(machine.guest, admin=named)))


def _wrong(parts: dict[str, str]) -> str:
    """What cloud-init has against any of those parts."""
    words = [PYTHON, "-c", CHECK]
    done = subprocess.run(
        words, input=json.dumps(parts), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _parts(name: str, machine: Machine) -> Iterable[tuple[str, str]]:
    data = ("virtio-pgstead-data",) if machine.guest.data_disk else ()
    message = message_from_string(whole_user_data(machine, ACCESS, data_ids=data))
    for part in message.walk():
        if not part.is_multipart():
            text = part.get_payload(decode=True)
            assert isinstance(text, bytes)
            yield f"{name} {part.get_filename()}", text.decode()


def test_every_module_is_among_them(project: Path) -> None:
    folders = {path.parent.name for path in (project / "tests" / "golden").glob("*/stack.yaml")}
    assert set(KINDS) <= folders


@needs_cloud_init
def test_user_data_are_valid_by_cloud_inits_own_schema(guests: dict[str, Machine]) -> None:
    parts = dict(part for name, machine in guests.items() for part in _parts(name, machine))
    assert len(parts) > 2 * len(guests)
    assert _wrong(parts) == ""


@needs_cloud_init
def test_cloud_inits_schema_refuses_what_is_wrong() -> None:
    assert "packages" in _wrong({"it": "#cloud-config\npackages: 7\n"})


def _domain(machine: Machine) -> Domain:
    guest = machine.guest
    disks = [DomainDisk("default", "os", "qcow2", "vda", "os", boot=True)]
    if guest.data_disk is not None:
        disks.append(DomainDisk("default", "data", "qcow2", "vdb", "pgstead-data"))
    wires = [
        Wire(nic.mac or "52:54:00:00:00:01", nic.network_name or nic.network_id, nic.macvtap)
        for nic in guest.nics
    ]
    return Domain(
        name=machine.name,
        uuid="6b2f4c2e-6c1b-5c52-9d3a-4c9f2c1f7a55",
        title=machine.name,
        memory=guest.size.memory,
        vcpus=guest.size.vcpus,
        virt_type="kvm",
        disks=disks,
        wires=wires,
        seed=DomainDisk("default", guest.seed_name or "seed.iso", "raw", "sda", ""),
        cpu="host-passthrough",
        watchdog=guest.watchdog if guest.watchdog != "softdog" else None,
        metadata={"machine": machine.name},
    )


@needs_libvirt
def test_domains_are_valid_by_libvirts_schema(guests: dict[str, Machine], tmp_path: Path) -> None:
    for number, (name, machine) in enumerate(guests.items()):
        file = tmp_path / f"{number}.xml"
        file.write_text(domain_xml(_domain(machine)), encoding="utf-8")
        words = ["virt-xml-validate", str(file), "domain"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
