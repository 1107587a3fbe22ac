"""What hosts tell by themselves: that a domain has started, ended, or stands still.

libvirt brings events through one event loop of the process, and only over connections that were
opened after it was there; so those used here are of their own. One that breaks is opened again,
for as long as anybody listens.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cache
from queue import Empty, SimpleQueue
from typing import Any

import libvirt

from pgstead.errors import PlatformError
from pgstead.platforms.libvirt.connection import Host, opened
from pgstead.platforms.libvirt.errors import quiet

AGAIN_SECONDS = 5.0
"""Before a host that could not be connected to is tried again."""

KEEP_ALIVE = (5, 3)
"""Seconds between two questions, and how many without an answer end a connection."""

END_SECONDS = 2.0

_OF_DEFINITIONS = (libvirt.VIR_DOMAIN_EVENT_DEFINED, libvirt.VIR_DOMAIN_EVENT_UNDEFINED)


class _News(Enum):
    LOST = auto()
    ENOUGH = auto()


@contextmanager
def heard(domains: Iterable[tuple[Host, str]], changed: Callable[[], None]) -> Iterator[None]:
    """Call `changed` when one of these domains, given by host and id, changes its state.

    It is also called once a host is listened to, since what was before is not told. A host that
    cannot be reached raises nothing: it is tried again and again.
    """
    by_host: dict[str, tuple[Host, set[str]]] = {}
    for host, uuid in domains:
        by_host.setdefault(host.name, (host, set()))[1].add(uuid)
    listeners = [_Listener(host, frozenset(ids), changed) for host, ids in by_host.values()]
    for one in listeners:
        one.thread.start()
    try:
        yield
    finally:
        for one in listeners:
            one.news.put(_News.ENOUGH)
        for one in listeners:
            one.thread.join(END_SECONDS)


@cache
def _event_loop() -> None:
    """Run libvirt's event loop, from now on for as long as the process lives."""
    quiet()
    libvirt.virEventRegisterDefaultImpl()
    threading.Thread(target=_turn, name="libvirt's events", daemon=True).start()


def _turn() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()


@dataclass
class _Listener:
    """Listens to one host, in a thread of its own."""

    host: Host
    uuids: frozenset[str]
    changed: Callable[[], None]
    news: SimpleQueue[_News] = field(default_factory=SimpleQueue)
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        name = f"events of {self.host.name}"
        self.thread = threading.Thread(target=self._listen, name=name, daemon=True)

    def _listen(self) -> None:
        _event_loop()
        while True:
            with suppress(PlatformError, libvirt.libvirtError):
                if self._until_lost(opened(self.host)) is _News.ENOUGH:
                    return
            with suppress(Empty):
                if self.news.get(timeout=AGAIN_SECONDS) is _News.ENOUGH:
                    return

    def _until_lost(self, connection: Any) -> _News:
        """Listen over this connection until it breaks, or nobody listens any more."""
        with suppress(libvirt.libvirtError):  # not every driver has a connection to keep alive
            connection.setKeepAlive(*KEEP_ALIVE)
        connection.registerCloseCallback(self._lost, None)
        number = connection.domainEventRegisterAny(
            None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._happened, None
        )
        try:
            self.changed()
            return self.news.get()
        finally:
            with suppress(libvirt.libvirtError):
                connection.domainEventDeregisterAny(number)
            with suppress(libvirt.libvirtError):
                connection.unregisterCloseCallback()
            with suppress(libvirt.libvirtError):
                connection.close()

    def _lost(self, *_about: object) -> None:
        self.news.put(_News.LOST)

    def _happened(self, _connection: Any, domain: Any, event: int, *_about: object) -> None:
        if event not in _OF_DEFINITIONS and domain.UUIDString() in self.uuids:
            self.changed()
