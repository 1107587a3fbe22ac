"""What is there of the machines: files, folders, commands, and whether services run."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from pgstead.engine.resource import Observed, Present, Recorded, Resource, Unknown, Value
from pgstead.machine import File
from pgstead.platforms.local import processes
from pgstead.platforms.local.card import Card, read_card
from pgstead.platforms.local.files import read_file
from pgstead.platforms.local.lower import machine_name
from pgstead.platforms.local.places import SERVICES, MachinePlaces, Places
from pgstead.platforms.local.processes import Process
from pgstead.platforms.local.script import digest_of
from pgstead.platforms.local.supervisor import UP, Program, Supervisor, program_name
from pgstead.platforms.software import (
    PRESENT,
    RUNNING,
    STOPPED,
    UNSUPERVISED,
    content_digest,
    octal,
)

Values = Mapping[str, Value | Unknown]


class Observation:
    """One look at a stack: the supervisor and the processes are asked once for all machines."""

    def __init__(
        self, places: Places, stack_id: str, supervisor: Supervisor, digest: Callable[[str], str]
    ) -> None:
        self._places = places
        self._stack_id = stack_id
        self._supervisor = supervisor
        self._digest = digest

    def machine(self, address: str, target: Resource | Recorded) -> Observed:
        """One machine; None if its folder is gone, or holds no more than kept data."""
        here = self._places.machine(machine_name(address))
        try:
            with self._places.account.acting():
                if not (here.folder / SERVICES).is_dir():
                    return None  # at the most, data that was kept
                card = read_card(here) or Card(machine_name(address), "")
                values = dict(self._values(here, card, target))
        except OSError as error:
            return Unknown(f"{error.filename}: {error.strerror}")
        outside = [key for key, value in values.items() if value == UNSUPERVISED]
        return Present(
            values, tuple(f"{_last(key)} runs outside its supervisor" for key in outside)
        )

    def running(self, resource: Resource) -> dict[str, str]:
        """Of each service of a machine, the value of its `running:` key."""
        here = self._places.machine(machine_name(resource.address))
        keys = (key.partition(":") for key in resource.attributes)
        with self._places.account.acting():
            return {name: self._running(here, name) for kind, _, name in keys if kind == "running"}

    def _values(
        self, here: MachinePlaces, card: Card, target: Resource | Recorded
    ) -> Iterator[tuple[str, Value | Unknown]]:
        keys = dict.fromkeys([*target.values, *_card_keys(card)])
        secrets = _secret_files(target) | {path for path, secret in card.files.items() if secret}
        for key in keys:
            kind, _, name = key.partition(":")
            value = self._value(here, kind, name, secret=name in secrets)
            if value is not None:
                yield key, value

    def _value(self, here: MachinePlaces, kind: str, name: str, *, secret: bool) -> Value | Unknown:
        if kind == "file":
            return _readable(lambda: self._file(here.of(name), secret=secret))
        if kind == "mode":
            return _mode(here.of(name))
        if kind == "directory":
            return PRESENT if here.of(name).is_dir() else None
        if kind == "service":
            text = read_file(here.script(name))
            return digest_of(text) if text else None
        return self._running(here, name) if kind == "running" else None

    def _file(self, path: Path, *, secret: bool) -> str | None:
        text = read_file(path)
        return None if text is None else content_digest(text, self._digest if secret else None)

    def _running(self, here: MachinePlaces, service: str) -> str:
        machine = here.folder.name
        program = self._programs.get(program_name(service, machine))
        main = processes.find(program.pid) if program and program.state in UP else None
        if main and not processes.is_becoming(main):
            return RUNNING
        mine = (one for one in self._processes if one.machine == machine)
        holding = [one.pid for one in processes.holders(here.lock(service), mine)]
        if holding and not (main and main.pid in holding):
            return UNSUPERVISED
        return RUNNING if main else STOPPED

    @cached_property
    def _programs(self) -> Mapping[str, Program]:
        return self._supervisor.programs()

    @cached_property
    def _processes(self) -> list[Process]:
        return processes.of_stack(self._stack_id, self._places.machines, self._places.account.uid)


def _card_keys(card: Card) -> Iterable[str]:
    """What was made and may not be wanted any more."""
    yield from (f"file:{path}" for path in card.files)
    for service in card.services:
        yield f"service:{service.name}"
        yield f"running:{service.name}"


def _secret_files(target: Resource | Recorded) -> set[str]:
    machine = target.body if isinstance(target, Resource) else None
    files: tuple[File, ...] = machine.software.files if machine else ()
    return {file.path for file in files if file.secret}


def _readable(read: Callable[[], str | None]) -> Value | Unknown:
    try:
        return read()
    except PermissionError as error:
        return Unknown(f"{error.filename}: {error.strerror}")


def _mode(path: Path) -> str | None:
    try:
        return octal(stat.S_IMODE(path.stat().st_mode))
    except (FileNotFoundError, NotADirectoryError):
        return None


def _last(key: str) -> str:
    return key.partition(":")[2]
