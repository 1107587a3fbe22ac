"""What pgstead notes in a machine's folder, to act on the machine when nothing else is known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pgstead.errors import PlatformError
from pgstead.machine import Machine, OnChange, Service
from pgstead.platforms.local.files import read_file, write_file
from pgstead.platforms.local.places import MachinePlaces

FORMAT = 1


@dataclass(frozen=True, slots=True)
class ServiceCard:
    """A service: the port that tells that it is ready, and how it is started and stopped."""

    name: str
    port: int | None = None
    deadline: float = 60.0
    stagger: float = 0.0
    reload_signal: str = "HUP"
    stop_signal: str = "TERM"
    stop_seconds: int = 60


@dataclass(frozen=True, slots=True)
class Card:
    """A machine: its address, the files and folders that pgstead made, and its services.

    `files` maps the paths of compared files to whether they are secret.
    """

    machine: str
    address: str
    files: Mapping[str, bool] = field(default_factory=dict)
    directories: Mapping[str, int] = field(default_factory=dict)
    data: tuple[str, ...] = ()
    services: tuple[ServiceCard, ...] = ()

    def service(self, name: str) -> ServiceCard:
        """The service of that name. Raises `PlatformError` if there is none."""
        for service in self.services:
            if service.name == name:
                return service
        raise PlatformError(
            f"machine {self.machine} has no service {name!r}",
            hint=f"it has: {', '.join(one.name for one in self.services) or 'none'}",
        )

    def without(self, services: tuple[str, ...]) -> Card:
        """The same without those services."""
        left = tuple(one for one in self.services if one.name not in services)
        return replace(self, services=left)


def card_of(machine: Machine) -> Card:
    """The card of a machine as it should be."""
    software = machine.software
    return Card(
        machine=machine.name,
        address=machine.address,
        files={
            file.path: file.secret
            for file in software.files
            if file.on_change is not OnChange.CREATE_ONLY
        },
        directories={one.path: one.mode for one in software.directories},
        data=tuple(one.path for one in software.directories if one.data),
        services=tuple(map(_service, software.services)),
    )


def _service(service: Service) -> ServiceCard:
    ready = service.ready
    return ServiceCard(
        name=service.name,
        port=ready.port if ready else None,
        deadline=ready.deadline if ready else 60.0,
        stagger=service.stagger,
        reload_signal=service.reload_signal,
        stop_signal=service.stop_signal,
        stop_seconds=service.stop_seconds,
    )


def write_card(places: MachinePlaces, card: Card) -> None:
    """Write it into the machine's folder."""
    content = {"format": FORMAT, **asdict(card)}
    write_file(places.card, json.dumps(content, indent=1, sort_keys=True) + "\n")


def read_card(places: MachinePlaces) -> Card | None:
    """The card in the machine's folder; None where there is none that can be read."""
    text = read_file(places.card)
    try:
        content: dict[str, Any] = json.loads(text or "null")
        if content.pop("format") != FORMAT:
            return None
        services = tuple(ServiceCard(**one) for one in content.pop("services"))
        return Card(**{**content, "data": tuple(content["data"]), "services": services})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def card_of_running(places: MachinePlaces, machine: str) -> Card:
    """The card, where there must be one. Raises `PlatformError` if not."""
    card = read_card(places)
    if card is None:
        raise PlatformError(
            f"machine {machine} is not there: {places.card} cannot be read",
            hint="`pgstead up` makes it",
        )
    return card
