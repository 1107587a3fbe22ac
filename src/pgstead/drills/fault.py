"""What a drill breaks, and what it may use to do so: the interface of every fault."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pgstead.clusters.groups import Groups, PatroniScope
from pgstead.machine import Machine
from pgstead.platforms.base import Platform


@dataclass(frozen=True, slots=True)
class Scene:
    """A whole cluster, looked at right before a round; all names are machines' names.

    `synchronous` are those of the `standbys` that commits may wait for. `etcd` is empty, and
    `etcd_leader` None, where the stack has no etcd of its own. In the file `notes` stands what
    has to be brought back, from before each strike until it is: for whoever comes after a drill
    that was killed (`faults.notes`).
    """

    platform: Platform
    groups: Groups
    scope: PatroniScope
    leader: str
    standbys: tuple[str, ...]
    synchronous: tuple[str, ...]
    etcd: tuple[str, ...]
    etcd_leader: str | None
    load_balancers: tuple[str, ...]
    notes: Path | None = None

    @property
    def machines(self) -> Mapping[str, Machine]:
        """The stack's machines by name."""
        return self.groups.machines


class Damage(Protocol):
    """What a fault did, and how to undo it."""

    @property
    def what(self) -> str:
        """In words, e.g. `killed postgres (pid 123) on postgres-2`."""

    @property
    def at(self) -> float:
        """When it was done, by `time.monotonic`, taken right at the act."""

    @property
    def hold(self) -> float:
        """Seconds that it lasts by design before it is restored; 0: until writes go on."""

    def restore(self) -> None:
        """Bring back what was broken. Called at least once, and again does no harm.

        Returns when it is started; whether it is whole again is for the drill to wait for.
        Raises `PgsteadError` if it cannot.
        """


class Fault(Protocol):
    """Something to break."""

    @property
    def name(self) -> str:
        """As in `--fault`, e.g. `postgres-killed`."""

    @property
    def title(self) -> str:
        """One line for people."""

    def refused(self, scene: Scene) -> str | None:
        """Why it cannot be done here, in words; None if it can."""

    def strike(self, scene: Scene) -> Damage:
        """Do it; returns when it is done.

        Ctrl-C does not end what waits in here: the drill acts on it after the strike. Raises
        `PgsteadError` if it could not be done; nothing is left broken then.
        """
