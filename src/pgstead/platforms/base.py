"""The protocol of a platform: machines in, things that run out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from pgstead.engine.resource import Data, Observed, Recorded, Resource, Steps
from pgstead.machine import Machine, OnChange
from pgstead.modules.base import Facts
from pgstead.platforms.breaking.base import Breaking
from pgstead.reach.base import Reach

Digest = Callable[[str], str]
"""A keyed digest of secret content (`engine.materials`)."""


@dataclass(frozen=True, slots=True)
class Power:
    """Whether a machine is on, and which boot of it: `boot` differs after every start."""

    on: bool
    boot: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A machine that exists and says itself that it is one of a stack's.

    `stack_id` is the id of that stack; empty on a platform that has stacks by their name
    alone. `address` is empty where it cannot be told. `place` is what the state would have
    recorded of it (`engine.resource.Resource.place`), and `where` says in words where it is.
    """

    machine: str
    stack_id: str
    address: str = ""
    place: Mapping[str, Any] = field(default_factory=dict)
    holds_data: bool = False
    where: str = ""


@runtime_checkable
class Counts(Protocol):
    """What counts the requests that it sends to something far away."""

    @property
    def requests(self) -> int:
        """How many it sent so far."""


@runtime_checkable
class Shows(Protocol):
    """What can show the texts that machines are begun with."""

    def shown(
        self, machines: Iterable[Machine], digest: Digest, *, secrets: bool
    ) -> Mapping[str, Mapping[str, str]]:
        """Per machine, those texts by file name, e.g. `{"db-1": {"domain.xml": "<domain ..."}}`.

        Without `secrets` these are left out. Nothing is made, and little is asked of hosts or
        of a cloud: what only these know is said in words.
        """


@runtime_checkable
class Tells(Protocol):
    """A platform that tells by itself when machines are switched on or off."""

    def watch(
        self, machines: Collection[str], changed: Callable[[], None]
    ) -> AbstractContextManager[None]:
        """Call `changed` after each such change, from any thread, while the context lasts.

        Nothing is promised: what happens while a host cannot be reached is not told, so `power`
        has to be asked all the same.
        """


class Platform(Protocol):
    """One kind of ground that machines stand on. All methods raise `PlatformError`."""

    kind: ClassVar[str]

    def resolve(self) -> Facts:
        """What exists already: server versions and the like. Raises `MissingSoftware`."""

    def allocate(self, machines: Iterable[str], taken: Mapping[str, str]) -> Mapping[str, str]:
        """Free addresses for those machines; `taken` are those already given in the stack."""

    def occupied(self, given: Mapping[str, str]) -> Mapping[str, str]:
        """Of those machines' addresses, in words, which ones others took since they were given."""

    def lower(self, machines: Iterable[Machine], digest: Digest) -> tuple[Resource, ...]:
        """The machines as this platform's resources, each at `machine.<name>`."""

    def observe(
        self, targets: Mapping[str, Resource | Recorded], digest: Digest
    ) -> Mapping[str, Observed]:
        """What is there of the machines at those addresses."""

    def found(self) -> tuple[Found, ...]:
        """The machines there are of stacks of this name, whatever their id; reads only.

        Raises `PlatformError` where part of the ground cannot be seen.
        """

    def create(self, resource: Resource, bindings: Mapping[str, str]) -> Steps:
        """Steps that make a machine and wait until its services are ready.

        `bindings` replace bootstrap-only values in its files (`machine.bind`).
        """

    def update(self, resource: Resource, changed: Mapping[str, OnChange]) -> Steps:
        """Steps that push what changed and reload or restart the services that read it."""

    def delete(self, recorded: Recorded, *, data: Data) -> Steps:
        """Steps that stop a machine, verify that it is gone, and remove it."""

    def keeps_data(self, machine: str) -> bool | None:
        """Whether data is kept for a machine that cannot be reached, for it to be made around.

        None where that is for its service to know: its volume is one that the stack file names.
        """

    def kept(self) -> tuple[Path, ...]:
        """Where data of machines that are gone still is."""

    def dispose(self, *, data: Data) -> tuple[Path, ...]:
        """Remove what all machines shared, once none is left; gives where data still is.

        With `Data.DELETE` nothing is, of former machines neither.
        """

    def reach(self, machine: str) -> Reach:
        """How to push to, run on and read from a machine."""

    def start(self, machine: str) -> None:
        """Start all services of a machine; returns when they are ready."""

    def stop(self, machine: str) -> None:
        """Stop all services cleanly; data stays."""

    def restart(self, machine: str, service: str) -> None:
        """Restart one service and wait until it is ready."""

    def power(self, machine: str) -> Power:
        """Whether it is on.

        Raises `PlatformError` also for one that is not there: it might run somewhere else, so
        nobody may take it for off.
        """

    def trouble(self) -> str:
        """What is wrong with what all machines stand on, in words; empty if nothing is."""

    def power_off(self, machine: str, boot: str) -> None:
        """Kill every process of that boot at once and verify that all are gone.

        Raises `Refused` if the machine is at another boot by now.
        """

    def breaking(self) -> Breaking:
        """Ways to break machines on purpose, for drills."""
