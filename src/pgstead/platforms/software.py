"""What every platform shares: a machine's software as attributes that can be compared.

Keys, by what they tell:

- `file:<path>`: a digest of the file's significant content, keyed where it is secret
- `mode:<path>`: the permissions of a file or a folder, in octal: `0600`
- `directory:<path>`: `present`
- `service:<name>`: a digest of the command and the environment
- `running:<name>`: `running`, `stopped`, or `unsupervised`

Files that matter at creation alone (`create_only`) have no key: they are never compared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pgstead.engine.resource import Attribute
from pgstead.machine import Machine, OnChange, Service, Software, significant

PRESENT = "present"
RUNNING = "running"
STOPPED = "stopped"
UNSUPERVISED = "unsupervised"


@dataclass(frozen=True, slots=True)
class Actions:
    """What an update does to a machine.

    `push` and `remove` are paths; the others are names of services. A service stands in
    at most one of them: what is restarted needs no reload.
    """

    push: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    reload: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    retire: tuple[str, ...] = ()


def plain_digest(text: str) -> str:
    """A digest of content that is no secret."""
    return hashlib.sha256(text.encode()).hexdigest()


def content_digest(text: str, secret: Callable[[str], str] | None) -> str:
    """The value of `file:<path>`; `secret` is the keyed digest, for a secret file."""
    return (secret or plain_digest)(significant(text))


def service_digest(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """The value of `service:<name>`."""
    return plain_digest(json.dumps([list(command), sorted(environment.items())]))


def octal(mode: int) -> str:
    """The value of `mode:<path>`."""
    return f"{mode & 0o7777:04o}"


def attributes(
    machine: Machine, digest: Callable[[str], str], mode: Callable[[int], int] = lambda mode: mode
) -> dict[str, Attribute]:
    """The software of a machine, its tokens replaced already, as attributes by key.

    `digest` is the keyed digest of secret content; `mode` gives the permissions that the
    platform really sets for those asked for.
    """
    software = machine.software
    return {
        **dict(_directories(software, mode)),
        **dict(_files(software, digest, mode)),
        **dict(_services(software)),
    }


def _directories(software: Software, mode: Callable[[int], int]) -> Iterator[tuple[str, Attribute]]:
    for folder in software.directories:
        label = f"folder {folder.path}"
        # Without its data a server cannot go on; any other folder is just put back.
        effect = OnChange.RESTART if folder.data else OnChange.RELOAD
        yield f"directory:{folder.path}", Attribute(PRESENT, effect, label)
        if not folder.data:  # a server sets the permissions of its data folder itself
            permissions = octal(mode(folder.mode))
            yield f"mode:{folder.path}", Attribute(permissions, OnChange.RELOAD, f"mode of {label}")


def _files(
    software: Software, digest: Callable[[str], str], mode: Callable[[int], int]
) -> Iterator[tuple[str, Attribute]]:
    for file in software.files:
        if file.on_change is OnChange.CREATE_ONLY:
            continue
        label = f"file {file.path}"
        value = content_digest(file.content, digest if file.secret else None)
        yield f"file:{file.path}", Attribute(value, file.on_change, label, hidden=True)
        permissions = octal(mode(file.mode))
        yield f"mode:{file.path}", Attribute(permissions, OnChange.RELOAD, f"mode of {label}")


def _services(software: Software) -> Iterator[tuple[str, Attribute]]:
    for service in software.services:
        value = service_digest(service.command, service.environment)
        yield (
            f"service:{service.name}",
            Attribute(value, service.on_change, f"command of {service.name}", hidden=True),
        )
        yield (
            f"running:{service.name}",
            Attribute(RUNNING, OnChange.RESTART, f"service {service.name}"),
        )


def actions(
    software: Software, changed: Mapping[str, OnChange], stopped: frozenset[str] = frozenset()
) -> Actions:
    """What those changed keys ask for, each service with the strongest that any of them takes.

    `stopped` names services that do not run: they are started, never restarted.
    """
    services = {service.name: service for service in software.services}
    effects = _effects(software, changed)
    restart = {name for name, effect in effects.items() if effect is not OnChange.RELOAD}
    return Actions(
        push=tuple(_paths(software, changed)),
        remove=tuple(_removed(software, changed)),
        start=_ordered(services, set(effects) & stopped),
        reload=_ordered(services, set(effects) - restart - stopped),
        restart=_ordered(services, restart - stopped),
        retire=tuple(sorted(_retired(services, changed))),
    )


def _effects(software: Software, changed: Mapping[str, OnChange]) -> dict[str, OnChange]:
    """Per service, the strongest of what its changed keys take."""
    readers = {file.path: file.service for file in software.files}
    names = {service.name for service in software.services}
    effects: dict[str, OnChange] = {}
    for key, effect in changed.items():
        kind, _, name = key.partition(":")
        # Permissions are read when a file is opened; setting them right takes no reload.
        service = readers.get(name) if kind == "file" else name if kind in _OF_SERVICE else None
        if service in names and service is not None:
            known = effects.get(service, OnChange.RELOAD)
            effects[service] = max(known, effect, key=lambda one: one.severity)
    return effects


_OF_SERVICE = ("service", "running")


def _paths(software: Software, changed: Mapping[str, OnChange]) -> Iterator[str]:
    folders = [one.path for one in software.directories]
    for path in [*folders, *(one.path for one in software.files)]:
        if any(f"{kind}:{path}" in changed for kind in ("file", "mode", "directory")):
            yield path


def _removed(software: Software, changed: Mapping[str, OnChange]) -> Iterator[str]:
    wanted = {file.path for file in software.files}
    for key in changed:
        kind, _, path = key.partition(":")
        if kind == "file" and path not in wanted:
            yield path


def _retired(services: Mapping[str, Service], changed: Mapping[str, OnChange]) -> set[str]:
    named = [key.partition(":") for key in changed]
    return {name for kind, _, name in named if kind in _OF_SERVICE and name not in services}


def _ordered(services: Mapping[str, Service], names: set[str]) -> tuple[str, ...]:
    return tuple(name for name in services if name in names)
