"""The local platform: machines are folders and supervised processes of this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pgstead.caches import cache_folder
from pgstead.engine.resource import (
    Attribute,
    Data,
    Observed,
    Present,
    Recorded,
    Resource,
    Step,
    Steps,
)
from pgstead.errors import MissingSoftware, PlatformError
from pgstead.machine import Machine, OnChange
from pgstead.modules.base import Facts
from pgstead.platforms.base import Digest, Found, Power
from pgstead.platforms.local import (
    addresses,
    finding,
    layout,
    lower,
    power,
    processes,
    steps,
)
from pgstead.platforms.local.account import Account, service_account
from pgstead.platforms.local.binaries import Binaries
from pgstead.platforms.local.boot import BootUnit
from pgstead.platforms.local.breaking import LocalBreaking
from pgstead.platforms.local.card import Card, card_of_running, read_card
from pgstead.platforms.local.cutting import Cutting
from pgstead.platforms.local.files import explained, remove_tree, write_file
from pgstead.platforms.local.observe import Observation
from pgstead.platforms.local.places import SERVICES, Places, stack_places
from pgstead.platforms.local.script import environment
from pgstead.platforms.local.services import Services, Stagger
from pgstead.platforms.local.supervisor import Supervisor
from pgstead.reach.local import LocalReach

BOOT = "boot:stack"
"""The key, beside those of `platforms.software`, of whether the stack starts with the system."""


class LocalSettings(Protocol):
    """What a stack file says under `platform`."""

    @property
    def user(self) -> str | None:
        """The user that servers run as, when pgstead is started by root."""

    @property
    def folder(self) -> Path | None:
        """The folder that holds the stacks' own."""

    @property
    def network(self) -> str | None:
        """The network of the machines' addresses, within 127.0.0.0/8."""

    @property
    def binaries(self) -> Any:
        """Programs by software name, as a mapping or a model."""

    @property
    def start_at_boot(self) -> bool:
        """Whether the stack starts with the system."""


class LocalPlatform:
    """Implements `platforms.base.Platform`. Its methods may be used from several threads."""

    kind: ClassVar[str] = "local"

    def __init__(
        self,
        settings: LocalSettings,
        stack_name: str,
        stack_id: str,
    ) -> None:
        self._settings = settings
        self._stack_name = stack_name
        self._stack_id = stack_id
        self._stagger = Stagger()
        self._changing_boot = threading.Lock()
        self._making_supervisor = threading.Lock()

    @cached_property
    def account(self) -> Account:
        """The user that servers run as."""
        return service_account(self._settings.user)

    @cached_property
    def places(self) -> Places:
        """Where things lie."""
        folder = self._settings.folder
        return stack_places(
            str(folder) if folder else None, self._stack_name, self._stack_id, self.account
        )

    @cached_property
    def binaries(self) -> Binaries:
        """The servers' programs."""
        return Binaries(_mapping(self._settings.binaries), cache_folder(), self.account.user)

    @property
    def supervisor(self) -> Supervisor:
        """The stack's supervisor: one object for all threads, since it holds their locks."""
        with self._making_supervisor:
            return self._supervisor

    @cached_property
    def _supervisor(self) -> Supervisor:
        return Supervisor(self.places, self._stack_id)

    @cached_property
    def boot_unit(self) -> BootUnit:
        """What starts the stack with the system."""
        return BootUnit(self.places, self.supervisor)

    def resolve(self) -> Facts:
        """The versions of the servers that would run; what lacks is told by `lower`."""
        return Facts(self.kind, self.binaries.versions())

    def allocate(self, machines: Iterable[str], taken: Mapping[str, str]) -> Mapping[str, str]:
        """Free loopback addresses, all of a stack's in one network."""
        return addresses.allocate(machines, taken, self._stack_id, self._settings.network)

    def occupied(self, given: Mapping[str, str]) -> Mapping[str, str]:
        """Of those machines' addresses, in words, which ones others took since they were given."""
        return addresses.occupied(given, self._own_sockets)

    def lower(self, machines: Iterable[Machine], digest: Digest) -> tuple[Resource, ...]:
        """The machines with real paths, as resources to compare.

        Raises `MissingSoftware` that names every program that they need and that lacks, and
        `PlatformError` where the servers' user cannot get to their folders.
        """
        self._check_way()
        made, lacking = [], {}
        for machine in machines:
            try:
                here = self.places.machine(machine.name)
                real = lower.lowered(machine, here, self.binaries)
            except MissingSoftware as error:
                lacking[error.message] = error
            else:
                made.append(self._resource(real, digest))
        if lacking:
            hints = dict.fromkeys(error.hint for error in lacking.values() if error.hint)
            raise MissingSoftware("; ".join(lacking), hint="; ".join(hints))
        return tuple(made)

    def observe(
        self, targets: Mapping[str, Resource | Recorded], digest: Digest
    ) -> Mapping[str, Observed]:
        """What is there of those machines; the supervisor is asked once for all of them."""
        look = Observation(self.places, self._stack_id, self.supervisor, digest)
        boot = {BOOT: _how_started(at_boot=self.boot_unit.file.exists())}
        seen = {address: look.machine(address, target) for address, target in targets.items()}
        return {
            address: replace(one, values={**one.values, **boot})
            if isinstance(one, Present)
            else one
            for address, one in seen.items()
        }

    def found(self) -> tuple[Found, ...]:
        """The machines in folders of stacks of this name."""
        return finding.found(self.places, self._stack_name)

    def create(self, resource: Resource, bindings: Mapping[str, str]) -> Steps:
        """Lay down, set up, start, wait until ready."""
        yield from steps.create(self._layout(resource.body), self._services, bindings)
        if self._settings.start_at_boot:
            yield Step("have the stack start with the system", self._at_boot)

    def update(self, resource: Resource, changed: Mapping[str, OnChange]) -> Steps:
        """Push, then start, reload or restart what is concerned."""
        running = self._running(resource)
        yield from steps.update(self._layout(resource.body), self._services, changed, running)
        if BOOT in changed:
            yield Step("have the stack start with the system, or not", self._at_boot)

    def delete(self, recorded: Recorded, *, data: Data) -> Steps:
        """Stop and remove; data stays in its place, or goes to the stack's folder `kept`."""
        card = self._known_card(lower.machine_name(recorded.address))
        # Data is known twice over: a card that was lost must not have it deleted.
        folders = tuple(dict.fromkeys((*card.data, *recorded.place.get("data", ()))))
        card = replace(card, data=folders)
        yield from steps.delete(self.places, self._services(card), data)

    def keeps_data(self, machine: str) -> bool:
        """Every machine's data can be looked at: what is not seen is not there."""
        del machine
        return False

    def kept(self) -> tuple[Path, ...]:
        """The folders of machines that are no more, with their data in it."""
        gone = (each for each in self.places.machines.glob("*") if not (each / SERVICES).is_dir())
        return tuple(sorted((*gone, *self.places.kept.glob("*"))))

    def dispose(self, *, data: Data) -> tuple[Path, ...]:
        """End the supervisor and remove the stack's folder; gives where data still is."""
        self.supervisor.shutdown()
        self.boot_unit.disable()
        if not self.places.root.exists():
            return ()
        with self.places.account.acting():
            remove_tree(self.places.supervisor)
            for folder in (self.places.machines, self.places.kept):
                if data is Data.DELETE:
                    remove_tree(folder)
                _remove_empty(folder)
            remove_tree(self.places.short)
            _remove_empty(self.places.short.parent)
        _remove_empty(self.places.root)
        if not self._settings.folder:
            _remove_empty(self.places.root.parent)
        return self.kept()

    def reach(self, machine: str) -> LocalReach:
        """How to push to, run on and read from a machine."""
        here = self.places.machine(machine)
        return LocalReach(
            machine=machine,
            folder=here.folder,
            place=here.of,
            log=here.log,
            text=lower.translation(here, self.binaries),
            write=lambda path, text, mode: write_file(path, text, lower.local_mode(mode)),
            acting=self.account.acting,
            environment=environment(self._stack_id, machine, "reach", here.folder),
            user=self.account.user,
        )

    def start(self, machine: str) -> None:
        """Start all services of a machine, frozen ones too; returns when they are ready."""
        services = self._services(self._card(machine))
        power.thaw(services)
        services.start_all()
        services.wait_ready()

    def stop(self, machine: str) -> None:
        """Stop all services cleanly; data stays, and nothing starts them but `start` or `up`."""
        self._services(self._card(machine)).stop_all()

    def restart(self, machine: str, service: str) -> None:
        """Restart one service and wait until it is ready."""
        self._services(self._card(machine)).restart(service)

    def power(self, machine: str) -> Power:
        """Whether any process of the machine lives, and of which boot."""
        return power.power(self._services(self._known_card(machine)))

    def trouble(self) -> str:
        """Whether services run whose supervisor is gone."""
        if self.supervisor.answers():
            return ""
        running = processes.of_stack(self._stack_id, self.places.machines, self.account.uid)
        return "its supervisor is gone: what dies is not started again" if running else ""

    def power_off(self, machine: str, boot: str) -> None:
        """Kill every process of that boot at once and verify that all are gone."""
        power.power_off(self._services(self._known_card(machine)), boot)

    def breaking(self) -> LocalBreaking:
        """Ways to break machines."""
        return self._breaking

    @cached_property
    def _breaking(self) -> LocalBreaking:
        cutting = Cutting(self._stack_id, lambda: self.supervisor)
        return LocalBreaking(lambda machine: self._services(self._known_card(machine)), cutting)

    def _resource(self, machine: Machine, digest: Digest) -> Resource:
        plain = lower.resource(machine, self.places, digest)
        value = _how_started(at_boot=self._settings.start_at_boot)
        boot = Attribute(value, OnChange.RELOAD, "start of the stack")
        return replace(plain, attributes={**plain.attributes, BOOT: boot})

    def _services(self, card: Card) -> Services:
        return Services(self.places, self._stack_id, self.supervisor, self._stagger, card)

    def _layout(self, machine: Machine) -> layout.Layout:
        return layout.Layout(self.places, self._stack_id, machine)

    def _card(self, machine: str) -> Card:
        here = self.places.machine(machine)
        with self.account.acting(), explained(here.card):
            return card_of_running(here, machine)

    def _known_card(self, machine: str) -> Card:
        """The machine's card; where its folder is gone, one that knows nothing but its name."""
        here = self.places.machine(machine)
        with self.account.acting(), explained(here.card):
            return read_card(here) or Card(machine, "")

    def _running(self, resource: Resource) -> dict[str, str]:
        """Of each service that should be or was, whether it runs."""
        look = Observation(self.places, self._stack_id, self.supervisor, lambda text: text)
        return look.running(resource)

    def _check_way(self) -> None:
        barrier = self.account.barrier(self.places.root)
        if barrier is not None:
            raise PlatformError(
                f"user {self.account.name}, whom the servers run as, may not enter {barrier}, "
                f"and with it {self.places.root}",
                hint="name another place in platform.folder, or leave it out",
            )

    def _own_sockets(self) -> frozenset[int]:
        found = processes.of_stack(self._stack_id, self.places.machines, self.account.uid)
        return processes.open_sockets(found)

    def _at_boot(self) -> None:
        with self._changing_boot:
            if not self._settings.start_at_boot:
                self.boot_unit.disable()
                return
            with self.account.acting(), explained(self.places.machines):
                names = sorted(path.name for path in self.places.machines.iterdir())
            self.boot_unit.note_folders(names)
            self.boot_unit.enable()


def _mapping(binaries: Any) -> dict[str, str]:
    given = binaries.model_dump() if hasattr(binaries, "model_dump") else dict(binaries or {})
    return {name: str(path) for name, path in given.items() if path}


def _how_started(*, at_boot: bool) -> str:
    return "with the system" if at_boot else "by hand"


def _remove_empty(folder: Path) -> None:
    """Remove a folder unless there is something in it, maybe of another stack."""
    with suppress(OSError):
        folder.rmdir()
