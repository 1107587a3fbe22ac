"""The proof that KVM works: what it boots, and for how long it is believed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest

pytest.importorskip("libvirt")

from pgstead.errors import PlatformError
from pgstead.platforms.libvirt import kvm
from pgstead.platforms.libvirt.boot_sector import SAYS, boot_sector
from pgstead.platforms.libvirt.connection import Host


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "pgstead" / "kvm.json"


class Tried:
    """Stands for the guest; counts how often it was started."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, reason: str | None) -> None:
        self.count, self.reason, self.boot = 0, reason, cast("str | float", "boot 1")
        self.now = 1000.0
        monkeypatch.setattr(kvm, "works", self.works)
        monkeypatch.setattr(kvm, "_boot", lambda host: self.boot)
        monkeypatch.setattr(kvm, "_identity", lambda host: host.name)
        monkeypatch.setattr("pgstead.platforms.libvirt.kvm.time.time", lambda: self.now)

    def works(self, host: Any, virt_type: str, *, cpu: str) -> str | None:
        assert virt_type == "kvm"
        self.count += 1
        return self.reason


def host(name: str = "a") -> Host:
    return Host(name, "qemu:///system", "default", "default", None, None)


def test_it_is_tried_once_per_host_boot_and_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = Tried(monkeypatch, None)
    for _ in range(2):
        assert kvm.proven(host(), "host-passthrough") is None
    assert tried.count == 1
    kvm.proven(host("b"), "host-passthrough")
    kvm.proven(host(), "qemu64")
    assert tried.count == 3
    tried.boot = "boot 2"
    kvm.proven(host(), "host-passthrough")
    assert tried.count == 4


def test_a_failure_is_believed_for_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = Tried(monkeypatch, "it did not get anywhere")
    for _ in range(2):
        with pytest.raises(PlatformError, match="KVM does not work on a: it did not get anywhere"):
            kvm.require(host(), "host-passthrough")
    assert tried.count == 1
    tried.now += 3601
    tried.reason = None
    kvm.require(host(), "host-passthrough")
    assert tried.count == 2


def test_a_time_of_boot_may_differ_by_what_it_was_reckoned_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = Tried(monkeypatch, None)
    for tried.boot in (5000.0, 5010.0, 4995.0):
        kvm.proven(host(), "x")
    assert tried.count == 1
    tried.boot = 5100.0
    kvm.proven(host(), "x")
    assert tried.count == 2


def test_a_cache_that_is_damaged_is_no_trouble(
    monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    tried = Tried(monkeypatch, None)
    cache.parent.mkdir()
    for text in ("", "[]", '{"a x": 5}', "\x00"):
        cache.write_text(text)
        assert kvm.proven(host(), "x") is None
    assert tried.count == 4


def test_it_is_a_boot_sector() -> None:
    sector = boot_sector()
    assert sector[510:512] == b"\x55\xaa"
    assert SAYS.encode() in sector[:512]
    assert len(sector) % 512 == 0


@pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="QEMU is missing")
@pytest.mark.real
def test_it_runs_in_long_mode_and_takes_an_interrupt(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(boot_sector())
    emulator = subprocess.Popen(
        [
            *("qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "32", "-nodefaults"),
            *("-display", "none", "-serial", "stdio", "-d", "int", "-D", str(tmp_path / "log")),
            *("-drive", f"file={disk},format=raw,if=virtio"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert emulator.stdout is not None
        assert emulator.stdout.readline().strip() == SAYS
    finally:
        emulator.kill()
        emulator.communicate()
    said = (tmp_path / "log").read_text()
    assert "EFER=0000000000000500" in said, "long mode is active"
    assert re.search(r"v=08 .*IP=0008:0000000000007c8[34]", said), "the timer's, at hlt"
