"""Connections to the hosts: opened when first needed, with a deadline, one for all threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import libvirt

from pgstead.errors import PlatformError, Unreachable
from pgstead.platforms.libvirt.errors import quiet, translated
from pgstead.spec.libvirt import driver

OPEN_SECONDS = 40.0
"""A daemon that was just started looks at every emulator first, which takes it 8 s and more."""


class HostDown(Unreachable):
    """A host that cannot be connected to; work on the others goes on."""


@dataclass
class Host:
    """A libvirt host, and what is used on it."""

    name: str
    uri: str
    pool: str
    network: str | None
    macvtap: str | None
    image: str | None
    _opened: Any = field(default=None, repr=False)
    _failed: HostDown | None = field(default=None, repr=False)
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False)
    making: threading.RLock = field(default_factory=threading.RLock, repr=False)
    """Held while something that machines share is looked for and made."""

    @property
    def connection(self) -> Any:
        """The open connection, a `libvirt.virConnect`.

        Raises `HostDown`; a host that was down is not asked again by the same command.
        """
        with self._guard:
            if self._failed is not None:
                raise self._failed
            if self._opened is None or not _alive(self._opened):
                try:
                    self._opened = opened(self)
                except HostDown as error:
                    self._failed = error
                    raise
            return self._opened

    @property
    def driver(self) -> str:
        """Which of libvirt's drivers makes its machines: `qemu`, `lxc`."""
        return driver(self.uri)

    @property
    def is_local(self) -> bool:
        """Whether the host is this machine."""
        return is_local(self.uri)

    def close(self) -> None:
        """Close the connection if there is one."""
        with self._guard:
            if self._opened is not None:
                self._opened.close()
            self._opened = None


def is_local(uri: str) -> bool:
    """Whether a URI names no other machine."""
    return uri.partition("://")[2].startswith("/")


class Hosts:
    """The hosts by name, in the stack file's order."""

    def __init__(self, hosts: Mapping[str, Host]) -> None:
        quiet()
        self._hosts = dict(hosts)

    def __iter__(self) -> Iterator[Host]:
        return iter(self._hosts.values())

    def __contains__(self, name: object) -> bool:
        return name in self._hosts

    @property
    def names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self._hosts)

    def get(self, name: str) -> Host:
        """The host of that name. Raises `PlatformError` for one that is not in the stack file."""
        if name not in self._hosts:
            raise PlatformError(
                f"the host {name!r} is not in the stack file any more, and machines are on it",
                hint="put it back, remove its machines first, or end them by hand",
            )
        return self._hosts[name]


def _alive(connection: Any) -> bool:
    try:
        return bool(connection.isAlive())
    except libvirt.libvirtError:
        return False


def opened(host: Host) -> Any:
    """A new connection to a host. Raises `HostDown`.

    In a thread of its own: an ssh to a dead host would take minutes to give up.
    """
    answer: list[Any] = []
    problem: list[libvirt.libvirtError] = []

    def work() -> None:
        try:
            answer.append(libvirt.open(host.uri))
        except libvirt.libvirtError as error:
            problem.append(error)

    thread = threading.Thread(target=work, name=f"open {host.name}", daemon=True)
    thread.start()
    thread.join(OPEN_SECONDS)
    if answer:
        return answer[0]
    if problem:
        told = translated(problem[0], f"cannot connect to {host.uri}", host.name)
        hint = told.hint or "see that libvirtd runs there and that `virsh -c URI uri` answers"
        raise HostDown(told.message, hint=hint)
    raise HostDown(
        f"cannot connect to {host.uri} on {host.name}: no answer within {OPEN_SECONDS:g} s",
        hint="see that the host is up and that `virsh -c URI uri` answers",
    )
