"""All clients of a round: four writers, a reader, and one who watches each member."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pgstead.drills.client import GRACE, Client, Style
from pgstead.drills.ledger import Log, Work

TIMEOUT = 2.0
"""The seconds of the clients that have a timeout."""

WRITERS = (
    Style("persistent", Work.WRITE),
    Style("persistent-timeout", Work.WRITE, timeout=TIMEOUT, connect_timeout=TIMEOUT),
    Style("reconnecting", Work.WRITE, reconnects=True, pause=0.05),
    Style(
        "reconnecting-timeout",
        Work.WRITE,
        reconnects=True,
        timeout=TIMEOUT,
        connect_timeout=TIMEOUT,
        pause=0.05,
    ),
)
READER = Style("reader", Work.READ, timeout=TIMEOUT, connect_timeout=TIMEOUT)
WATCHER = Style("", Work.WATCH, timeout=1.0, connect_timeout=1.0, pause=0.05)


@dataclass(frozen=True)
class Load:
    """All clients of a round."""

    clients: Sequence[Client]
    began: float = field(default_factory=time.monotonic)

    def forget(self) -> None:
        """Have `steady` count from now."""
        for client in self.clients:
            client.forget()

    def steady(self, work: Work, seconds: float) -> bool:
        """Whether all who do this have done so for at least that long, until now."""
        return all(each.steady() >= seconds for each in self.clients if each.style.work is work)

    def halting(self, work: Work) -> str:
        """Who of them does not go on, and what it was told last; empty if all do."""
        halting = (each for each in self.clients if each.style.work is work and not each.steady())
        return "; ".join(f"{each.name}: {_last_error(each.log())}" for each in halting)

    def end(self) -> float:
        """End all; returns once none has a connection any more.

        Gives the time, by `time.monotonic`, from which on nothing more was tried.
        """
        for client in self.clients:
            client.end()
        ended = time.monotonic()
        for client in self.clients:
            client.join(max(ended + GRACE - time.monotonic(), 0.0))
        return ended

    def logs(self) -> tuple[Log, ...]:
        """What all of them tried."""
        return tuple(client.log() for client in self.clients)


def _last_error(log: Log) -> str:
    return next((each.error for each in reversed(log.attempts) if each.error), "no answer")


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where clients connect: libpq URIs, each of one host; `members` by machine."""

    primary: Sequence[str]
    replica: Sequence[str]
    members: dict[str, str]


def start(endpoints: Endpoints) -> Load:
    """Start them all, the reader only where there is a read-only endpoint."""
    rows = numbering()
    clients = [Client(style, endpoints.primary, rows) for style in WRITERS]
    if endpoints.replica:
        clients.append(Client(READER, endpoints.replica, rows))
    clients += [Client(WATCHER, [uri], rows, name=name) for name, uri in endpoints.members.items()]
    load = Load(clients)
    for client in clients:
        client.start()
    return load


def numbering() -> Iterator[int]:
    """1, 2, 3, …: each number is given once, whichever thread asks."""
    count, lock = itertools.count(1), threading.Lock()

    def number() -> int:
        with lock:
            return next(count)

    return iter(number, None)
