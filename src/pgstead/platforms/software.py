"""What every platform shares: a machine's software as attributes that can be compared.

Keys, by what they tell:

- `file:<path>`: a digest of the file's significant content, keyed where it is secret
- `mode:<path>`: the permissions of a file or a folder, in octal: `0600`
- `directory:<path>`: `present`
- `service:<name>`: a digest of the command and the environment
- `running:<name>`: `running`, `stopped`, or `unsupervised`
- `package:<name>`: the version that is wanted, or `present` where any will do
- `setup:<path>`: `present`, once the setup command has made what it creates

The last two are of machines with a system of their own (`installed`).

Files that matter at creation alone (`create_only`) have no key: they are never compared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pgstead.engine.resource import Attribute
from pgstead.machine import (
    Command,
    Machine,
    OnChange,
    Package,
    Service,
    Software,
    significant,
)

PRESENT = "present"
RUNNING = "running"
STOPPED = "stopped"
UNSUPERVISED = "unsupervised"


@dataclass(frozen=True, slots=True)
class Actions:
    """What an update does to a machine.

    `push` and `remove` are paths; `start` to `retire` are names of services. A service stands
    in at most one of them: what is restarted needs no reload.
    """

    push: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    reload: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    retire: tuple[str, ...] = ()
    install: tuple[Package, ...] = ()
    setup: tuple[Command, ...] = ()


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


def installed(machine: Machine) -> dict[str, Attribute]:
    """Packages and setup commands of a machine with a system of its own, as attributes by key.

    A command that makes data has no key: what it made is never to be made again.
    """
    packages = machine.software.packages if machine.guest.install else ()
    found = {f"package:{one.name}": _package(one) for one in packages}
    data = tuple(f"{one.path}/" for one in machine.software.directories if one.data)
    for one in machine.software.setup:
        if not one.creates.startswith(data):
            effect = OnChange.RESTART if one.service else OnChange.RELOAD
            found[f"setup:{one.creates}"] = Attribute(PRESENT, effect, f"setup of {one.name}")
    return found


def _package(package: Package) -> Attribute:
    pinned = package.version is not None and package.service is not None
    effect = OnChange.RESTART if pinned else OnChange.RELOAD
    return Attribute(package.version or PRESENT, effect, f"package {package.name}")


def is_version(there: str, wanted: str) -> bool:
    """Whether a package's version is the wanted one, epoch and unnamed revision aside."""
    plain = there.partition(":")[2] or there
    rest = plain.removeprefix(wanted)
    return wanted in (there, plain) or (rest != plain and not rest[0].isdigit() and rest[0] != ".")


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
        install=tuple(one for one in software.packages if f"package:{one.name}" in changed),
        setup=tuple(one for one in software.setup if f"setup:{one.creates}" in changed),
    )


def _effects(software: Software, changed: Mapping[str, OnChange]) -> dict[str, OnChange]:
    """Per service, the strongest of what its changed keys take."""
    readers: dict[str, str | None] = {
        **{f"file:{file.path}": file.service for file in software.files},
        **{f"package:{one.name}": one.service for one in software.packages if one.version},
        **{f"setup:{one.creates}": one.service for one in software.setup},
    }
    names = {service.name for service in software.services}
    effects: dict[str, OnChange] = {}
    for key, effect in changed.items():
        kind, _, name = key.partition(":")
        # Permissions are read when a file is opened; setting them right takes no reload.
        service = name if kind in _OF_SERVICE else readers.get(key)
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
