"""Resources: what the plan compares. Absent is None; unseen is `Unknown`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from pgstead.machine import OnChange

Value = str | int | float | bool | None
"""What an attribute holds: a JSON scalar; a digest where the content is long or secret."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One thing about a resource that can differ, and what it takes to change it.

    `label` says it in words, e.g. "file /etc/haproxy/haproxy.cfg". `hidden` marks a
    digest, which is of no use to a reader.
    """

    value: Value
    on_change: OnChange
    label: str
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Resource:
    """What should exist, as the one who makes it understands it.

    `address` is unique and stable: `<kind>.<name>`. `place` is kept in the state so that
    the resource can be found and removed when nothing else is known of it any more.
    `only_copy` marks data that exists nowhere else; `outlives`, data that stays where it is
    when what it is in is made anew. `loss` says, in words, what is lost with
    the data of all members of its cluster (`place["cluster"]`); empty where nobody asks
    before they are made anew. `refused` says, in words, why it can be neither made nor
    changed as it is asked for. `body` is for the provider alone.
    """

    address: str
    kind: str
    attributes: Mapping[str, Attribute]
    after: tuple[str, ...] = ()
    place: Mapping[str, Any] = field(default_factory=dict)
    holds_data: bool = False
    only_copy: bool = False
    outlives: bool = False
    loss: str = ""
    refused: tuple[str, ...] = ()
    body: Any = field(default=None, compare=False, repr=False)

    @property
    def values(self) -> dict[str, Value]:
        """The attributes' values by key."""
        return {key: attribute.value for key, attribute in self.attributes.items()}


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the state says was made.

    `status` is `creating`, `ready`, `updating`, `replacing` or `deleting`: anything but
    `ready` is the trace of interrupted work. The values that an update is about are None
    until it has ended.
    """

    address: str
    kind: str
    values: Mapping[str, Value]
    status: str = "ready"
    after: tuple[str, ...] = ()
    place: Mapping[str, Any] = field(default_factory=dict)
    holds_data: bool = False
    only_copy: bool = False


@dataclass(frozen=True, slots=True)
class Present:
    """What is there: the attributes' values as they were read.

    A key that is missing was not there; one with an `Unknown` could not be read.
    `notes` are words for the plan, e.g. "runs outside its supervisor"; `labels` say in words
    what keys are that no resource asks for.
    """

    values: Mapping[str, Value | Unknown]
    notes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unknown:
    """What could not be seen, and why; never taken for unchanged.

    `down` tells that the ground it stands on is: nothing can be done about it, and waiting
    does not help, but the rest goes on.
    """

    reason: str
    down: bool = False


Observed = Present | Unknown | None
"""`None` is absent."""


@dataclass(frozen=True, slots=True)
class Step:
    """One unit of work: recorded before and after, and safe to run again.

    `disrupts` tells that a running member is disturbed by it.
    """

    title: str
    run: Callable[[], None] = field(repr=False)


Steps = Iterator[Step]


class Data(StrEnum):
    """What becomes of the data of a resource that is removed.

    Kept data is found again when the resource is made once more; data aside is out of the
    way, for a person to look at.
    """

    KEEP = "keep"
    ASIDE = "aside"
    DELETE = "delete"


class Provider(Protocol):
    """Who makes, sees, changes and removes the resources of some kinds."""

    def observe(self, targets: Mapping[str, Resource | Recorded]) -> Mapping[str, Observed]:
        """What is there, for each of the addresses; reads only."""

    def create(self, resource: Resource, *, recorded: Recorded | None) -> Steps:
        """Steps that make it; `recorded` tells of an earlier one that is gone or half made."""

    def update(self, resource: Resource, changed: Mapping[str, OnChange]) -> Steps:
        """Steps that bring the changed keys into effect, disturbing as little as they allow."""

    def replace(self, resource: Resource, recorded: Recorded) -> Steps:
        """Steps that remove it but for its data, and make it anew."""

    def delete(self, recorded: Recorded, *, data: Data) -> Steps:
        """Steps that remove it, and do with its data as told."""
