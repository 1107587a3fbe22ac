"""What the doctor says of the libvirt platform and of building images."""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

pytest.importorskip("libvirt")

from pgstead import programs
from pgstead.errors import SpecError
from pgstead.operations.doctor import doctor as every_doctor
from pgstead.platforms.finding import Finding
from pgstead.platforms.libvirt import doctor as module
from pgstead.platforms.libvirt import kvm
from pgstead.platforms.libvirt.doctor import barrier, doctor
from pgstead.spec.libvirt import LibvirtPlatform as Settings


def settings(**given: object) -> Settings:
    return Settings.model_validate({"uri": "test:///default", "pool": "default-pool", **given})


def named(found: list[Finding]) -> dict[str, Finding]:
    return {one.name: one for one in found}


@pytest.fixture(autouse=True)
def no_guest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kvm, "proven", lambda host, cpu: "it did not get anywhere")


def test_a_host_is_looked_at_from_daemon_to_kvm() -> None:
    found = named(doctor(settings(network="default", image="no-image.qcow2")))
    assert found["libvirt of host"].ok
    assert found["libvirt of host"].version.count(".") == 2
    assert found["pool default-pool of host"].ok
    assert found["network default of host"].ok
    assert not found["image of host"].ok
    assert "no volume 'no-image.qcow2'" in found["image of host"].found
    assert not found["KVM of host"].ok
    assert "virt_type: qemu" in (found["KVM of host"].hint or "")


def test_kvm_is_not_asked_for_where_nobody_wants_it() -> None:
    assert "KVM of host" not in named(doctor(settings(virt_type="qemu")))


def test_what_up_makes_is_not_missed() -> None:
    found = named(
        doctor(
            settings(
                pool="own",
                pools={"own": {"path": "/x"}},
                network="n",
                networks={"n": {"subnet": "10.0.0.0/24"}},
            )
        )
    )
    assert found["pool own of host"].found == "is made by `pgstead up`"
    assert "network n of host" not in found


def test_what_is_not_there_is_named_with_what_is() -> None:
    found = named(doctor(settings(pool="fast", network="lan")))
    assert not found["pool fast of host"].ok
    assert "there are: default-pool" in (found["pool fast of host"].hint or "")
    assert not found["network lan of host"].ok


def test_a_host_that_is_down_says_how_it_is_started() -> None:
    (down,) = [
        one
        for one in doctor(settings(uri="qemu+unix:///system?socket=/nowhere"))
        if one.name == "libvirt of host"
    ]
    assert not down.ok
    assert "cannot connect" in down.found
    assert "systemctl enable --now libvirtd" in (down.hint or "")


def test_programs_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "SYSTEM_PATH", "/nowhere")
    found = named(doctor(Settings(uri="qemu+unix:///system?socket=/nowhere")))
    assert found["qemu-system-x86_64"].package == "qemu-system-x86"
    assert found["libvirtd"].package == "libvirt-daemon-system"
    assert found["ssh"].package == "openssh-client"
    far = named(doctor(Settings(uri="qemu+unix://b/system?socket=/nowhere", reach="none")))
    assert set(far) == {"libvirt of host"}, "another machine's programs are its own business"


def test_the_folder_that_bars_the_emulator_is_named(open_folder: Path) -> None:
    pool = open_folder / "closed" / "pool"
    pool.mkdir(parents=True)
    pool.parent.chmod(0o700)
    assert barrier(pool, "no-such-user") == pool.parent
    pool.parent.chmod(0o711)
    assert barrier(pool, "no-such-user") is None
    pool.chmod(0o600)
    assert barrier(pool, "no-such-user") == pool
    finding = module._way("way to the pool", pool)
    assert f"may not enter {pool}" in finding.found
    assert f"chmod o+x {pool}" in (finding.hint or "")


def test_without_the_libraries_nothing_else_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(name: str) -> ModuleSpec | None:
        return None

    monkeypatch.setattr("pgstead.operations.doctor.find_spec", lost)
    found = every_doctor("libvirt", None, fix=False, say=print)
    assert [one.name for one in found] == [
        "Python package libvirt-python",
        "Python package pycdlib",
    ]
    assert "pip install 'pgstead[libvirt]'" in (found[0].hint or "")


def test_building_an_image_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = ("mmdebstrap", "/usr/lib/grub/i386-pc/boot.img")
    monkeypatch.setattr(programs, "find", lambda name: None if name in lacking else f"/bin/{name}")
    found = named(list(every_doctor("image", None, fix=False, say=print)))
    assert not found["mmdebstrap"].ok
    assert found["mmdebstrap"].package == "mmdebstrap"
    assert found["/usr/lib/grub/i386-pc/boot.img"].package == "grub-pc-bin"
    assert found["qemu-img"].path == "/bin/qemu-img"
    assert "rights" in found


def test_a_stack_files_hosts_are_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "stack.yaml"
    hosts = "hosts: {a: {uri: 'test:///default', pool: default-pool}, b: {uri: 'qemu+unix:///x'}}"
    file.write_text(f"name: x\nplatform: {{kind: libvirt, {hosts}}}\ncluster: {{}}\n")
    found = named(list(every_doctor(None, file, fix=False, say=print)))
    assert found["libvirt of a"].ok
    assert not found["libvirt of b"].ok
    file.write_text("name: x\nplatform: {kind: memory}\ncluster: {}\n")
    with pytest.raises(SpecError, match="needs nothing"):
        every_doctor(None, file, fix=False, say=print)
