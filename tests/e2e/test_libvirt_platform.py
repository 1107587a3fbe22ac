"""The platform on a real libvirtd and QEMU, with guests that boot nothing but a boot sector.

What is inside of them is played by `support.dummy_guest`, which reads the real disk of the
first boot. Emulation only; nothing leaves the daemon's namespaces.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("libvirt")
pytest.importorskip("pycdlib")


import libvirt

from pgstead.engine.compare import make_plan
from pgstead.engine.plan import Action
from pgstead.engine.resource import Data, Present, Recorded, Resource, Steps, Unknown
from pgstead.errors import NotReady, PlatformError, Refused
from pgstead.machine import Disk, File, Machine, Size
from pgstead.platforms.libvirt import LibvirtPlatform, domains, kvm, removing, volumes
from pgstead.spec.libvirt import LibvirtPlatform as Settings
from support.dummy_guest import DummyGuest, seed_files
from support.libvirt import Libvirtd, libvirtd, why_not
from support.machines import CONFIGURATION, SECRET, machine

pytestmark = [
    pytest.mark.virtual,
    pytest.mark.xdist_group("libvirt_platform"),
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
    pytest.mark.timeout(120),
]

ADDRESS = "machine.thing-1"


@pytest.fixture(scope="module")
def daemon() -> Iterator[Libvirtd]:
    with (
        tempfile.TemporaryDirectory(prefix="pgs-", dir="/tmp") as folder,
        libvirtd(Path(folder) / "lv") as made,
    ):
        Path(folder).chmod(0o711)  # the emulator's user passes through
        yield made


def digest(text: str) -> str:
    return hashlib.sha256(f"key{text}".encode()).hexdigest()


@dataclass
class Stage:
    """A platform, the records of a state, and the guests that are played."""

    daemon: Libvirtd
    folder: Path
    stack_id: str = "0123-test"
    settings: dict[str, Any] = field(default_factory=dict)
    records: dict[str, Recorded] = field(default_factory=dict)
    guests: dict[str, DummyGuest] = field(default_factory=dict)

    def platform(self) -> Any:
        given = {
            "uri": self.daemon.uri,
            "virt_type": "qemu",
            "image": "base.img",
            "network": "things",
            "networks": {"things": {"subnet": "10.99.0.0/24", "mode": "isolated"}},
            "pools": {"default": {"path": str(self.daemon.images / "pool")}},
            "boot_deadline": 20,
            "cloud_init_deadline": 30,
            **self.settings,
        }
        return LibvirtPlatform(
            Settings.model_validate(given),
            "things",
            self.stack_id,
            secret=lambda name: f"secret of {name}",
            folder=self.folder,
            recorded=lambda: self.records,
            reach=self.reach,
        )

    def reach(self, name: str, address: str, user: str, domain: Any) -> DummyGuest:
        guest = self.guests.setdefault(name, DummyGuest())
        guest.down = not domain.isActive()
        if not guest.files and domain.isActive():
            found = list((self.daemon.images / "pool").glob(f"{name}-seed-*.iso"))
            if found:
                folders = {"/etc/thing": 0o750, "/run/thing": 0o755, "/var/lib/thing/data": 0o700}
                guest.boot(seed_files(found[0]), folders)
        return guest

    def lower(self, wanted: Machine) -> Resource:
        (resource,) = self.platform().lower([wanted], digest)
        return resource  # type: ignore[no-any-return]

    def up(self, wanted: Machine) -> str:
        """What `up` does about one machine; gives what it did."""
        resource = self.lower(wanted)
        platform = self.platform()
        observed = platform.observe({resource.address: resource}, digest)
        known = {one: self.records[one] for one in observed if one in self.records}
        (change,) = make_plan([resource], known, observed).changes
        record = Recorded(
            resource.address, resource.kind, resource.values, "creating", (), resource.place
        )
        if change.action is Action.REFUSE:
            return "refuse"
        if change.action is Action.CREATE:
            self.records[resource.address] = record
            run(platform.create(resource, {"state": "existing"}))
        if change.action is Action.UPDATE:
            run(platform.update(resource, change.changed))
        if change.action is Action.REPLACE:
            run(platform.delete(self.records[resource.address], data=Data.KEEP))
            self.guests.pop(wanted.name, None)
            run(platform.create(resource, {}))
        self.records[resource.address] = replace(record, status="ready")
        self.check(resource)
        return change.action.value

    def check(self, resource: Resource) -> None:
        seen = self.platform().observe({resource.address: resource}, digest)[resource.address]
        assert isinstance(seen, Present), seen
        assert dict(seen.values) == resource.values

    def destroy(self, data: Data) -> None:
        for record in list(self.records.values()):
            run(self.platform().delete(record, data=data))
        self.platform().dispose(data=data)

    @property
    def connection(self) -> Any:
        return libvirt.open(self.daemon.uri)

    def volumes(self) -> set[str]:
        pools = {each.name(): each for each in self.connection.listAllStoragePools()}
        if "default" not in pools:
            return set()
        pools["default"].refresh()
        return {each.name() for each in pools["default"].listAllVolumes()}


def run(steps: Steps) -> list[str]:
    titles = []
    for step in steps:
        step.run()
        titles.append(step.title)
    return titles


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A boot sector does not hear that it shall shut down."""
    monkeypatch.setattr(removing, "SECONDS", 0.5)


@pytest.fixture
def stage(daemon: Libvirtd, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stage]:
    made = Stage(daemon, tmp_path, stack_id=request.node.name)
    platform = made.platform()
    (host,) = platform.ground.hosts
    platform.ground.prepare(host)
    volumes.upload(host, "default", "base.img", kvm.boot_sector())
    yield made
    made.destroy(Data.DELETE)
    volumes_left = made.volumes() - {"base.img"}
    for pool in made.connection.listAllStoragePools():
        for volume in pool.listAllVolumes():
            volume.delete()
    platform.dispose(data=Data.KEEP)
    assert volumes_left == set()
    assert made.connection.listAllDomains() == []
    assert made.connection.listAllNetworks() == []
    assert made.connection.listAllStoragePools() == []


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
    volumes.upload(host, "default", "other.img", kvm.boot_sector())
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
    platform = stage.platform()
    platform.ground.reach_of = None
    with pytest.raises(NotReady, match=f"(?s)to boot.*{kvm.SAYS}"):
        run(platform.create(resource, {}))


def test_a_host_that_is_down_leaves_the_others_alone(stage: Stage) -> None:
    dead = {"uri": "qemu+unix:///system?socket=/nowhere"}
    platform = _hosted(stage, {"hosts": {"a": {"uri": stage.daemon.uri}, "b": dead}})
    first, second = platform.lower([machine(), machine("thing-2", address="10.99.0.12")], digest)
    assert [one.place["host"] for one in (first, second)] == ["a", "b"]
    seen: Mapping[str, Any] = platform.observe({r.address: r for r in (first, second)}, digest)
    assert seen[first.address] is None
    assert isinstance(seen[second.address], Unknown)
    assert "cannot connect" in seen[second.address].reason


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


def test_a_guest_proves_that_its_kind_runs(stage: Stage) -> None:
    (host,) = stage.platform().ground.hosts
    assert kvm.works(host, "qemu", "default") is None
    assert stage.volumes() == {"base.img"}


def test_an_image_of_this_machine_is_uploaded_once_and_removed_in_the_end(stage: Stage) -> None:
    image = stage.folder / "image.raw"
    image.write_bytes(kvm.boot_sector())
    stage.up(machine(os_disk=Disk("os", base=str(image))))
    stage.up(machine("thing-2", address="10.99.0.12", os_disk=Disk("os", base=str(image))))
    assert len([name for name in stage.volumes() if name.startswith("image-")]) == 1
