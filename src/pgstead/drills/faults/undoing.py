"""How each kind of damage is brought back: plain data, so that it can be noted beforehand.

Undoing does no harm where there is nothing to undo, and can be done again at any point.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

from pgstead.errors import PgsteadError, PlatformError
from pgstead.platforms.base import Platform


class Undo(Protocol):
    """Brings one thing back."""

    kind: ClassVar[str]
    outlives: ClassVar[bool]
    """Whether the damage would outlive its machines, or keep them from ending."""

    @property
    def words(self) -> str:
        """The damage, in words."""

    def undo(self, platform: Platform) -> None:
        """Do it. Raises `PgsteadError`."""


@dataclass(frozen=True, slots=True)
class Start:
    """Start machines, layer by layer; those of a layer side by side."""

    kind: ClassVar[str] = "start"
    outlives: ClassVar[bool] = False
    layers: tuple[tuple[str, ...], ...]

    @property
    def words(self) -> str:
        """In words."""
        return f"{', '.join(name for layer in self.layers for name in layer)} had no power"

    def undo(self, platform: Platform) -> None:
        """Start all; one that does not come up keeps none of the others from it."""
        failed = [error for layer in self.layers for error in _started(platform, layer)]
        if failed:
            raise failed[0]


@dataclass(frozen=True, slots=True)
class Thaw:
    """Have a machine go on that was frozen, or start it if somebody powered it off since."""

    kind: ClassVar[str] = "thaw"
    outlives: ClassVar[bool] = True
    machine: str

    @property
    def words(self) -> str:
        """In words."""
        return f"{self.machine} was frozen"

    def undo(self, platform: Platform) -> None:
        """Thaw it."""
        platform.breaking().thaw(self.machine)
        if not platform.power(self.machine).on:
            platform.start(self.machine)


@dataclass(frozen=True, slots=True)
class Continue:
    """Have a machine's processes of that name go on."""

    kind: ClassVar[str] = "continue"
    outlives: ClassVar[bool] = True
    machine: str
    program: str

    @property
    def words(self) -> str:
        """In words."""
        return f"{self.program} on {self.machine} was frozen"

    def undo(self, platform: Platform) -> None:
        """Signal them; those that were not stopped do not notice."""
        breaking = platform.breaking()
        found = [one for one in breaking.processes(self.machine) if one.name == self.program]
        if found:
            breaking.signal(self.machine, [one.identity for one in found], signal.SIGCONT)


@dataclass(frozen=True, slots=True)
class Mend:
    """Lose no more packets of a machine."""

    kind: ClassVar[str] = "mend"
    outlives: ClassVar[bool] = True
    machine: str

    @property
    def words(self) -> str:
        """In words."""
        return f"{self.machine} was cut off"

    def undo(self, platform: Platform) -> None:
        """Mend it."""
        platform.breaking().mend(self.machine)


@dataclass(frozen=True, slots=True)
class SetClock:
    """Set a machine's clock right."""

    kind: ClassVar[str] = "set-clock"
    outlives: ClassVar[bool] = False
    machine: str

    @property
    def words(self) -> str:
        """In words."""
        return f"the clock of {self.machine} was wrong"

    def undo(self, platform: Platform) -> None:
        """Set it to this machine's."""
        platform.breaking().set_clock(self.machine)


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a file that a drill made on a machine."""

    kind: ClassVar[str] = "remove"
    outlives: ClassVar[bool] = False
    machine: str
    path: str

    @property
    def words(self) -> str:
        """In words."""
        return f"{self.path} filled a disk of {self.machine}"

    def undo(self, platform: Platform) -> None:
        """Remove it."""
        done = platform.reach(self.machine).run(["rm", "-f", "--", self.path])
        if done.code != 0:
            raise PlatformError(f"{self.machine}: {self.path} stays: {done.stderr.strip()}")


KINDS: Mapping[str, type[Undo]] = {
    one.kind: one for one in (Start, Thaw, Continue, Mend, SetClock, Remove)
}


def to_words(undo: Undo) -> dict[str, Any]:
    """What `from_words` reads, in JSON's types."""
    return {"kind": undo.kind, **asdict(undo)}  # type: ignore[call-overload]


def from_words(words: Mapping[str, Any]) -> Undo:
    """What `to_words` gave. Raises `KeyError` or `TypeError` for what is none."""
    given = {key: _frozen(value) for key, value in words.items() if key != "kind"}
    return KINDS[words["kind"]](**given)


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _started(platform: Platform, machines: tuple[str, ...]) -> list[PgsteadError]:
    """Start those machines; gives why some of them do not come up."""

    def start(machine: str) -> PgsteadError | None:
        try:
            platform.start(machine)
        except PgsteadError as error:
            return error
        return None

    with ThreadPoolExecutor(max(1, len(machines)), thread_name_prefix="start") as pool:
        return [error for error in pool.map(start, machines) if error]
