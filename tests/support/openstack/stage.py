"""A stage for the OpenStack platform: the lab's project, a state's records, guests that are played.

What is inside of a server is played by `support.dummy_guest`, which reads the server's real
config drive; whether it is on, nova says.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pgstead.engine.compare import make_plan
from pgstead.engine.plan import Action, Change
from pgstead.engine.resource import Data, Present, Recorded, Resource, Steps
from pgstead.machine import Machine
from pgstead.platforms.openstack import OpenStackPlatform
from pgstead.spec.openstack import OpenStackPlatform as Settings
from support.dummy_guest import DummyGuest
from support.openstack.lab import Lab
from support.openstack.project import CIDR, NAME, Project, project_in

CREATED = (Action.CREATE, Action.REPLACE)


def digest(text: str) -> str:
    return hashlib.sha256(f"key{text}".encode()).hexdigest()


def finish(steps: Steps) -> list[str]:
    """Run all steps; gives their titles."""
    titles = []
    for step in steps:
        step.run()
        titles.append(step.title)
    return titles


def recorded(resource: Resource, status: str = "ready") -> Recorded:
    """What a state says of a resource that was made."""
    return Recorded(
        resource.address,
        resource.kind,
        resource.values,
        status,
        resource.after,
        resource.place,
        holds_data=resource.holds_data,
    )


@dataclass
class Stage:
    """One stack in a project, by the platform alone."""

    project: Project
    folder: Path
    stack: str = "things"
    stack_id: str = "0123-test"
    settings: dict[str, Any] = field(default_factory=dict)
    records: dict[str, Recorded] = field(default_factory=dict)
    guests: dict[str, DummyGuest] = field(default_factory=dict)
    """By the servers' ids."""

    user: str = "member"
    """As whom of the lab's clouds the platform works."""

    def platform(self) -> OpenStackPlatform:
        """As the next command would have it."""
        given = {"image": NAME, "flavor": NAME, "network": NAME, "boot_deadline": 20}
        return OpenStackPlatform(
            Settings.model_validate({**given, **self.settings}),
            self.stack,
            self.stack_id,
            secret=lambda name: f"secret of {name}",
            folder=self.folder,
            recorded=lambda: self.records,
            reach=self.reach,
            connect=lambda: self.project.lab.connect(self.user),
        )

    def reach(self, machine: str, address: str, user: str) -> DummyGuest:
        """The way into the server that has the address, as it is now."""
        for ident, known in self.project.lab.guests.items():
            if known.address != address:
                continue
            if ident not in self.guests:
                self.guests[ident] = DummyGuest()
                self.guests[ident].boot({"user-data": _text(known.user_data)}, {})
            self.guests[ident].down = not known.is_on
            return self.guests[ident]
        return DummyGuest(down=True)

    def plan(self, wanted: Machine) -> Change:
        """What `up` would do about one machine."""
        return self._plan(self.platform(), wanted)[1]

    def _plan(self, platform: OpenStackPlatform, wanted: Machine) -> tuple[Resource, Change]:
        (resource,) = platform.lower([wanted], digest)
        seen = platform.observe({resource.address: resource}, digest)
        known = {key: one for key, one in self.records.items() if key == resource.address}
        (change,) = make_plan([resource], known, seen).changes
        return resource, change

    def up(self, wanted: Machine) -> Change:
        """What `up` does about one machine; gives what was to be done."""
        platform = self.platform()
        resource, change = self._plan(platform, wanted)
        if change.action is Action.REFUSE:
            return change
        if change.action is Action.REPLACE:
            finish(platform.delete(self.records[resource.address], data=Data.KEEP))
        if change.action in CREATED:
            self.records[resource.address] = recorded(resource, "creating")
            finish(platform.create(resource, {"state": "existing"}))
        if change.action is Action.UPDATE:
            finish(platform.update(resource, change.changed))
        self.records[resource.address] = recorded(resource)
        self._check(platform, resource)
        return change

    def _check(self, platform: OpenStackPlatform, resource: Resource) -> None:
        """It is there, as it should be."""
        seen = platform.observe({resource.address: resource}, digest)[resource.address]
        assert isinstance(seen, Present), seen
        assert dict(seen.values) == resource.values

    def destroy(self, data: Data = Data.DELETE) -> None:
        """What `destroy` does."""
        for record in list(self.records.values()):
            finish(self.platform().delete(record, data=data))
            self.records.pop(record.address)
        self.platform().dispose(data=data)


@dataclass(frozen=True)
class Room:
    """A project, and a folder for a stack."""

    project: Project
    folder: Path

    @property
    def lab(self) -> Lab:
        return self.project.lab

    @property
    def member(self) -> Any:
        return self.project.member

    def stage(self, **settings: Any) -> Stage:
        return Stage(self.project, self.folder, settings={"cloud": "member", **settings})

    def count(self) -> dict[str, int]:
        """What is there, by kind."""
        return {kind: len(names) for kind, names in self.project.left().items()}


@contextmanager
def room_in(lab: Lab) -> Iterator[Room]:
    """A room that is new; nothing may be left in it."""
    with TemporaryDirectory(prefix="pgstead-") as name, project_in(lab) as project:
        yield Room(project, Path(name))


def _text(user_data: bytes) -> str:
    return gzip.decompress(user_data).decode()


def addresses(numbers: Iterable[int]) -> list[str]:
    """Addresses of the project's subnet."""
    return [f"{CIDR.rpartition('.')[0]}.{number}" for number in numbers]


def here(machine: Machine, number: int) -> Machine:
    """The machine, at an address of the project's subnet, with a port that the stack makes."""
    (address,) = addresses([number])
    return replace(machine, address=address, guest=replace(machine.guest, nics=()))
