"""A machine becomes what it is here: real paths for tokens, and a resource to compare."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from pgstead.engine.resource import Resource
from pgstead.machine import Command, File, Machine, Service, replace_tokens
from pgstead.membership import StandaloneServer
from pgstead.platforms.local.binaries import Binaries
from pgstead.platforms.local.places import MachinePlaces, Places
from pgstead.platforms.software import attributes

KIND = "machine"

Text = Callable[[str], str]


def local_mode(mode: int) -> int:
    """Permissions as they are set here: everything is the servers' user's and nobody else's.

    PostgreSQL takes a private key that belongs to it with mode 0600 or less only.
    """
    return mode & 0o700


def lowered(machine: Machine, places: MachinePlaces, binaries: Binaries) -> Machine:
    """The machine with its tokens replaced, without what only makes sense in a guest.

    The paths of files and folders stay those of a conventional machine.
    """
    text = translation(places, binaries, machine.postgresql)
    software = machine.software
    return replace(
        machine,
        software=replace(
            software,
            files=tuple(_file(file, text) for file in software.files),
            setup=tuple(_command(command, text, places) for command in software.setup),
            services=tuple(
                _service(service, text) for service in software.services if not service.guest_only
            ),
        ),
    )


def translation(places: MachinePlaces, binaries: Binaries, major: str | None = None) -> Text:
    """What replaces the tokens in a text; `major` is the PostgreSQL that the machine wants."""

    def token(kind: str, name: str) -> str:
        if kind == "path":
            return str(places.of(name))
        found = binaries.path(name, major) if kind == "bin" else binaries.folder(name, major)
        return str(found)

    return lambda text: replace_tokens(text, token)


def resource(machine: Machine, places: Places, digest: Callable[[str], str]) -> Resource:
    """The resource of a lowered machine."""
    data = [one.path for one in machine.software.directories if one.data]
    return Resource(
        address=f"{KIND}.{machine.name}",
        kind=KIND,
        attributes=attributes(machine, digest, local_mode),
        after=tuple(f"{KIND}.{name}" for name in machine.after),
        place=place(places, machine.name, machine.address, data),
        holds_data=bool(data),
        only_copy=bool(data) and isinstance(machine.membership, StandaloneServer),
        body=machine,
    )


def place(places: Places, machine: str, address: str, data: Iterable[str]) -> dict[str, Any]:
    """What is kept of a machine, to find and to remove it."""
    return {
        "machine": machine,
        "folder": str(places.machine(machine).folder),
        "address": address,
        "data": list(data),
    }


def machine_name(address: str) -> str:
    """The machine that a resource's address names."""
    return address.removeprefix(f"{KIND}.")


def _file(file: File, text: Text) -> File:
    return replace(file, content=text(file.content), mode=local_mode(file.mode))


def _command(command: Command, text: Text, places: MachinePlaces) -> Command:
    creates = text(command.creates)
    if creates == command.creates:  # a path of the machine's own, said without a token
        creates = str(places.of(creates))
    return replace(command, argv=tuple(map(text, command.argv)), creates=creates)


def _service(service: Service, text: Text) -> Service:
    return replace(
        service,
        command=tuple(map(text, service.command)),
        environment={key: text(value) for key, value in service.environment.items()},
    )
