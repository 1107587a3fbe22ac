"""A stage for the libvirt platform: a real daemon, a state's records, guests that are played."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import libvirt
import pytest

from pgstead.engine.compare import make_plan
from pgstead.engine.plan import Action
from pgstead.engine.resource import Data, Present, Recorded, Resource, Steps
from pgstead.machine import Machine
from pgstead.platforms.libvirt import LibvirtPlatform, removing, volumes
from pgstead.platforms.libvirt.boot_sector import boot_sector
from pgstead.spec.libvirt import LibvirtPlatform as Settings
from support.dummy_guest import DummyGuest, seed_files
from support.libvirt import Libvirtd, libvirtd


@pytest.fixture(scope="module")
def daemon() -> Iterator[Libvirtd]:
    with libvirtd() as made:
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
    enters: bool = True
    """Whether there is a way into guests."""

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
            reach=self.reach if self.enters else None,
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


@pytest.fixture
def stage(
    daemon: Libvirtd,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Stage]:
    # A boot sector does not hear that it shall shut down.
    monkeypatch.setattr(removing, "SECONDS", 0.5)
    made = Stage(daemon, tmp_path, stack_id=request.node.name)
    platform = made.platform()
    (host,) = platform.ground.hosts
    platform.ground.prepare(host)
    volumes.upload(host, "default", "base.img", boot_sector(work=1))
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
