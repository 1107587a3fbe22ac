"""The platform on a real libvirtd and QEMU, with guests that boot nothing but a boot sector.

What is inside of them is played by `support.dummy_guest`, which reads the real disk of the
first boot. Emulation only; nothing leaves the daemon's namespaces.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("libvirt")
pytest.importorskip("pycdlib")


from pgstead.engine.resource import Data, Present, Recorded, Unknown
from pgstead.errors import NotReady, PlatformError, Refused
from pgstead.machine import Command, Disk, File, Package, Size
from pgstead.platforms.cloud_init import DONE
from pgstead.platforms.libvirt import LibvirtPlatform, domains, kvm, volumes
from pgstead.platforms.libvirt.boot_sector import SAYS, boot_sector
from pgstead.spec.libvirt import LibvirtPlatform as Settings
from support.dummy_guest import DummyGuest
from support.libvirt import why_not
from support.libvirt_stage import Stage, digest, run
from support.machines import CONFIGURATION, SECRET, machine

pytestmark = [
    pytest.mark.xdist_group("libvirt_platform"),
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
    pytest.mark.timeout(120),
]

ADDRESS = "machine.thing-1"


def domain_of(stage: Stage) -> Any:
    return stage.connection.lookupByName("thing-1")


def test_a_machine_is_made_seen_and_removed(stage: Stage) -> None:
    assert stage.up(machine()) == "create"
    assert domain_of(stage).isActive()
    assert not any("seed" in name for name in stage.volumes()), "no secret stays in a pool"
    assert "cidata" not in domain_of(stage).XMLDesc()
    guest = stage.guests["thing-1"]
    assert "state: existing" in guest.files[CONFIGURATION][1]
    assert guest.files[SECRET] == (0o600, "secret: ünïcode\n")
    assert stage.up(machine()) == "none"
    stage.destroy(Data.KEEP)
    assert {name.split("-")[2] for name in stage.volumes() - {"base.img"}} == {"data"}
    assert stage.connection.listAllDomains() == []


def test_an_interrupted_creation_is_resumed_after_each_step(stage: Stage) -> None:
    resource = stage.lower(machine())
    stage.records[resource.address] = Recorded(
        resource.address, resource.kind, resource.values, "creating", (), resource.place
    )
    count = len(run(stage.platform().create(resource, {})))
    stage.check(resource)
    for done in range(1, count):
        run(stage.platform().delete(stage.records[resource.address], data=Data.DELETE))
        stage.guests.clear()
        steps = stage.platform().create(resource, {})
        for _ in range(done):
            next(steps).run()
        run(stage.platform().create(resource, {}))
        stage.check(resource)


def test_a_changed_file_is_pushed_and_its_service_restarted(stage: Stage) -> None:
    wanted = machine()
    stage.up(wanted)
    boot = stage.platform().power("thing-1")
    changed = File(CONFIGURATION, "listen: other\n", owner="thing", service="thing")
    files = (changed, *wanted.software.files[1:])
    assert stage.up(replace(wanted, software=replace(wanted.software, files=files))) == "update"
    guest = stage.guests["thing-1"]
    assert guest.files[CONFIGURATION][1] == "listen: other\n"
    assert ("systemctl", "restart", "thing.service") in guest.ran
    assert stage.platform().power("thing-1") == boot, "the machine itself went on"


def test_another_version_is_installed_and_set_up_before_its_service_restarts(
    stage: Stage,
) -> None:
    wanted = machine()
    stage.up(wanted)
    boot = stage.platform().power("thing-1")
    guest = stage.guests["thing-1"]
    guest.creates["venv"] = "/opt/thing/2/bin/thing"
    guest.ran.clear()
    changed = replace(
        wanted.software,
        packages=(Package("postgresql-15"), Package("thing", "2", service="thing")),
        setup=(Command("venv", ("python3", "-m", "venv"), "/opt/thing/2/bin/thing"),),
    )
    assert stage.up(replace(wanted, software=changed)) == "update"
    assert guest.packages["thing"] == "2-1"
    names = [words[3] if words[0] == "sh" else words[1] for words in guest.ran]
    assert names.index("install") < names.index("venv") < names.index("restart")
    assert ("systemctl", "restart", "thing.service") in guest.ran
    assert stage.platform().power("thing-1") == boot
    guest.packages.pop("postgresql-15")
    guest.ran.clear()
    assert stage.up(replace(wanted, software=changed)) == "update", "put back by itself"
    assert not any("restart" in words for words in guest.ran)


def test_disks_grow_while_the_machine_runs_and_never_shrink(stage: Stage) -> None:
    stage.up(machine())
    boot = stage.platform().power("thing-1")
    larger = Disk("data", size=2, mount="/var/lib/thing", owner="thing")
    assert stage.up(machine(data_disk=larger)) == "update"
    assert domain_of(stage).blockInfo("vdb")[0] == 2 * 1024**3
    assert any(words[0] == "sh" for words in stage.guests["thing-1"].ran), "its file system, too"
    assert stage.platform().power("thing-1") == boot
    assert stage.up(machine()) == "refuse"
    resource = stage.lower(machine())
    with pytest.raises(Refused, match="cannot shrink to 1 GiB"):
        run(
            stage.platform().update(
                resource, {"disk:data": resource.attributes["disk:data"].on_change}
            )
        )


def test_memory_changes_with_a_restart(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.up(machine())
    # A boot sector does not hear that it shall shut down.
    monkeypatch.setattr(
        domains, "shut_down", lambda host, domain, seconds: domains.cut_off(host, domain)
    )
    before = stage.platform().power("thing-1")
    assert stage.up(machine(size=Size(2, 96))) == "update"
    assert domain_of(stage).info()[1:4:2] == [96 * 1024, 2]
    assert stage.platform().power("thing-1") != before


def test_a_new_image_replaces_the_machine_and_keeps_its_data(stage: Stage) -> None:
    stage.up(machine())
    pool = stage.daemon.images / "pool"
    (data,) = pool.glob("thing-1-data-*")
    before = data.stat().st_ino
    (host,) = stage.platform().ground.hosts
    volumes.upload(host, "default", "other.img", boot_sector(work=1))
    assert stage.up(machine(os_disk=Disk("os", base="other.img"))) == "replace"
    assert data.stat().st_ino == before
    volumes.remove(host, "default", "other.img")


def test_a_machine_that_is_off_is_started(stage: Stage) -> None:
    stage.up(machine())
    platform = stage.platform()
    platform.power_off("thing-1", platform.power("thing-1").boot)
    assert not platform.power("thing-1").on
    stage.guests["thing-1"].files[CONFIGURATION] = (0o640, "changed while nobody looked\n")
    assert stage.up(machine()) == "update"
    assert "changed" not in stage.guests["thing-1"].files[CONFIGURATION][1]


def test_the_host_tells_at_once_that_a_machine_has_ended(stage: Stage) -> None:
    stage.up(machine())
    told = threading.Semaphore(0)
    with stage.platform().watch(("thing-1",), told.release):
        assert told.acquire(timeout=20), "it is not listened to"
        domain_of(stage).destroy()
        assert told.acquire(timeout=20)
    assert not stage.platform().power("thing-1").on


def test_another_boot_is_not_powered_off(stage: Stage) -> None:
    stage.up(machine())
    with pytest.raises(Refused, match="started again"):
        stage.platform().power_off("thing-1", "12345")


def test_what_is_not_the_stacks_own_is_not_touched(stage: Stage) -> None:
    other = replace(stage, stack_id="another")
    stage.up(machine())
    other.records, other.guests = {}, {}
    other.settings = {"networks": {}, "pools": {}}
    with pytest.raises(PlatformError, match="'thing-1' exists on host and is not this stack's"):
        run(other.platform().create(other.lower(machine()), {}))
    other.settings = {"networks": {}, "pools": {}, "name_prefix": "x-"}
    with pytest.raises(PlatformError, match="MAC address 52:54:00:00:00:0b is in use"):
        run(other.platform().create(other.lower(machine()), {}))
    assert domain_of(stage).isActive()
    assert other.platform().occupied({"thing-1": "10.99.0.11"}) == {
        "thing-1": "10.99.0.11 is in use by the domain thing-1 on host"
    }


@pytest.mark.parametrize(
    ("settings", "message", "hint"),
    [
        ({"pool": "fast"}, "there is no storage pool 'fast' on host", "there are: default"),
        ({"image": "ghost.qcow2"}, "there is no volume 'ghost.qcow2' on host", "base.img"),
        ({"network": "lan"}, "there is no libvirt network 'lan' on host", "there are: things"),
        ({"network": None, "macvtap": "ens9"}, "host has no interface 'ens9'", "lo"),
    ],
)
def test_what_does_not_exist_is_named_with_what_does(
    stage: Stage, settings: dict[str, Any], message: str, hint: str
) -> None:
    stage.settings = settings
    wanted = machine(os_disk=Disk("os"))
    with pytest.raises(PlatformError) as caught:
        run(stage.platform().create(stage.lower(wanted), {}))
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")
    stage.settings = {}
    assert stage.volumes() == {"base.img"}, "nothing half made"


def test_a_first_boot_that_fails_says_which_module_did(stage: Stage) -> None:
    stage.guests["thing-1"] = DummyGuest(errors=("('scripts_user', RuntimeError('1 failed'))",))
    resource = stage.lower(machine())
    stage.records[ADDRESS] = Recorded(ADDRESS, "machine", {}, "creating", (), resource.place)
    with pytest.raises(
        PlatformError, match=r"first boot of thing-1 on host failed: .*scripts_user"
    ):
        run(stage.platform().create(resource, {}))


def test_a_boot_that_does_not_finish_shows_the_consoles_last_lines(stage: Stage) -> None:
    stage.settings = {"reach": "none", "boot_deadline": 10}
    resource = stage.lower(machine())
    stage.records[ADDRESS] = Recorded(ADDRESS, "machine", {}, "creating", (), resource.place)
    stage.enters = False
    platform = stage.platform()
    with pytest.raises(NotReady, match=f"(?s)to boot.*{SAYS}"):
        run(platform.create(resource, {}))


def test_without_a_way_in_the_console_says_when_it_is_done(stage: Stage) -> None:
    (host,) = stage.platform().ground.hosts
    volumes.upload(host, "default", "says.img", boot_sector(1, f"cloud-init\r\n{DONE}"))
    stage.settings = {"reach": "none"}
    stage.enters = False
    wanted = machine(os_disk=Disk("os", base="says.img"))
    assert stage.up(wanted) == "create"
    assert stage.guests == {}, "nobody tried to get in"
    assert not any("seed" in name for name in stage.volumes())
    assert stage.up(wanted) == "none"
    resource = stage.lower(wanted)
    seen = stage.platform().observe({resource.address: resource}, digest)[resource.address]
    assert isinstance(seen, Present)
    assert "is unknown" in seen.notes[0]
    other = replace(wanted.software, packages=(Package("another"),))
    assert stage.up(replace(wanted, software=other)) == "replace", "there is no other way"
    volumes.remove(host, "default", "says.img")


def test_an_image_may_lie_in_another_pool(stage: Stage) -> None:
    folder = stage.daemon.images / "pools" / "images"
    stage.daemon.inside(["mkdir", "-p", "-m", "711", str(folder.parent)])
    stage.settings = {
        "pools": {
            "default": {"path": str(stage.daemon.images / "pool")},
            "images": {"path": str(folder)},
        }
    }
    platform = stage.platform()
    (host,) = platform.ground.hosts
    platform.ground.prepare(host)
    volumes.upload(host, "images", "far.img", boot_sector(work=1))
    try:
        assert stage.up(machine(os_disk=Disk("os", base="images/far.img"))) == "create"
        assert stage.up(
            machine("thing-2", address="10.99.0.12", os_disk=Disk("os", base="far.img"))
        )
        volumes.upload(host, "default", "far.img", boot_sector(work=1))
        assert volumes.existing(host, "default", "far.img").pool == "default", "the nearest"
        assert volumes.existing(host, "images", "far.img").pool == "images"
        volumes.upload(host, "default", "twice.img", b"x" * 512)
        volumes.upload(host, "images", "twice.img", b"x" * 512)
        with pytest.raises(PlatformError, match="several storage pools") as caught:
            volumes._elsewhere(host, "twice.img")
        assert "default/twice.img, images/twice.img" in (caught.value.hint or "")
        with pytest.raises(PlatformError, match=r"there is no volume 'images/none\.img'"):
            volumes.existing(host, "default", "images/none.img")
    finally:
        stage.destroy(Data.DELETE)
        for pool in stage.connection.listAllStoragePools():
            for volume in pool.listAllVolumes():
                if volume.name() != "base.img":
                    volume.delete()
        stage.records.clear()


def test_a_host_that_is_down_leaves_the_others_alone(stage: Stage) -> None:
    dead = {"uri": "qemu+unix:///system?socket=/nowhere"}
    platform = _hosted(stage, {"hosts": {"a": {"uri": stage.daemon.uri}, "b": dead}})
    first, second = platform.lower([machine(), machine("thing-2", address="10.99.0.12")], digest)
    assert [one.place["host"] for one in (first, second)] == ["a", "b"]
    seen: Mapping[str, Any] = platform.observe({r.address: r for r in (first, second)}, digest)
    assert seen[first.address] is None
    assert isinstance(seen[second.address], Unknown)
    assert "cannot connect" in seen[second.address].reason
    assert seen[second.address].down, "so that work on the others goes on"
    given = {"hosts": {"b": dead, "a": {"uri": stage.daemon.uri}}}
    free = _hosted(stage, given).allocate(["thing-3"], {})
    assert free == {"thing-3": "10.99.0.254"}, "another host knows the network, too"


def _hosted(stage: Stage, settings: dict[str, Any]) -> Any:
    given = {**settings, "virt_type": "qemu", "image": "base.img", "network": "things"}
    return LibvirtPlatform(
        Settings.model_validate(given),
        "things",
        stage.stack_id,
        secret=str,
        folder=stage.folder,
        recorded=lambda: stage.records,
        reach=stage.reach,
    )


def test_a_guest_proves_that_its_kind_runs(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kvm, "SECONDS", 60.0)  # emulated, on a machine that has other work
    (host,) = stage.platform().ground.hosts
    assert kvm.works(host, "qemu", "default") is None
    assert stage.volumes() == {"base.img"}
    assert stage.connection.listAllDomains() == []


def test_a_guest_that_gets_nowhere_proves_that_it_does_not(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kvm, "SECONDS", 2.0)
    monkeypatch.setattr(kvm, "boot_sector", lambda: boot_sector(work=0xFFFFFFFF))
    (host,) = stage.platform().ground.hosts
    said = kvm.works(host, "qemu", "default")
    assert said == "libvirt starts a guest, but within 2 s it did not get anywhere"
    assert "CPU" in (kvm.works(host, "qemu", "default", "no-such-model") or "")
    assert stage.connection.listAllDomains() == []


def test_an_image_of_this_machine_is_uploaded_once_and_removed_in_the_end(stage: Stage) -> None:
    image = stage.folder / "image.raw"
    image.write_bytes(boot_sector(work=1))
    stage.up(machine(os_disk=Disk("os", base=str(image))))
    stage.up(machine("thing-2", address="10.99.0.12", os_disk=Disk("os", base=str(image))))
    assert len([name for name in stage.volumes() if name.startswith("image-")]) == 1
