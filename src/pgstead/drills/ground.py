"""What a round needs of the world: clients, a table, a look at the cluster, a way to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pgstead.drills.fault import Scene
from pgstead.drills.ledger import Log, Work
from pgstead.errors import Interrupted

AFTER = "`pgstead status` shows whether all is well; the drill can be run again"


class Stop:
    """Whether the user wants no more rounds. Ctrl-C ends what a round waits for, nothing else.

    In particular it does not reach into a strike, nor into what restores.
    """

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """End the next pause, and all after it."""
        self._event.set()

    def pause(self, seconds: float) -> None:
        """Let time pass. Raises `Interrupted`."""
        if self._event.wait(seconds):
            raise Interrupted("stopped; what was broken is restored", hint=AFTER)


class Clients(Protocol):
    """Those who write and read during a round, as `workload.Load`."""

    @property
    def began(self) -> float:
        """When they were started."""

    def forget(self) -> None:
        """Have `steady` count from now."""

    def steady(self, work: Work, seconds: float) -> bool:
        """Whether all who do this have got on for at least that long, until now."""

    def halting(self, work: Work) -> str:
        """Who of them does not get on, and why; empty if all do."""

    def end(self) -> float:
        """End all; returns once none has a connection any more.

        Gives the time, by `time.monotonic`, from which on nothing more was tried.
        """

    def logs(self) -> tuple[Log, ...]:
        """What all of them tried."""


class Rows(Protocol):
    """What is written into, as `table.Table`."""

    def make(self) -> None:
        """Make it, empty. Raises `NotReady`."""

    def rows(self) -> list[int]:
        """The ids that are there, each as often as it is. Raises `NotReady`."""

    def drop(self) -> None:
        """Drop it if that can be done at once."""


@dataclass(frozen=True)
class Ground:
    """Where rounds are held.

    `start` starts the clients. `look` shows the scene once the cluster is whole, and raises
    `NotReady` if it does not become so. `trouble` says what keeps it from being whole, empty if
    nothing does. `step` is entered for what the drill itself does to machines: nobody else acts
    on them meanwhile. `heard` tells what others did since a time. `patience` is for how many
    seconds to wait for writes to go on, and then for the cluster to be whole.
    """

    table: Rows
    start: Callable[[], Clients]
    look: Callable[[], Scene]
    trouble: Callable[[], str]
    tell: Callable[[str], None]
    stop: Stop
    step: Callable[[], AbstractContextManager[None]] = nullcontext
    heard: Callable[[datetime], Iterable[tuple[datetime, str]]] = lambda _: ()
    patience: float = 300.0
