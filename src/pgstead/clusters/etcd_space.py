"""What frees space in an etcd cluster, and in which order: pure decisions.

Its history is dropped, then each member writes its file anew, then the alarm is taken back
(etcd's manual, "Maintenance"). A member that writes its file anew answers nobody meanwhile: so
one at a time, while all others are well, and the leader last.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Do", "Holder", "Next", "next_member", "order"]


class Do(StrEnum):
    """What to do next."""

    DEFRAGMENT = "defragment"
    DONE = "done"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Next:
    """What to do next, with which machine's member, and why nothing yet."""

    do: Do
    machine: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Holder:
    """A member that holds the cluster's data, by its machine; sizes are in bytes.

    `leader` is the id of the leader that it knows, 0 for none; one that does not answer has no
    `id`. `revision` is the last change of a key that it has.
    """

    machine: str
    id: int = 0
    leader: int = 0
    size: int = 0
    used: int = 0
    revision: int = 0

    @property
    def leads(self) -> bool:
        """Whether it is the leader."""
        return self.id != 0 and self.id == self.leader


def order(holders: Iterable[Holder]) -> list[Holder]:
    """Followers first, by their names; the leader last."""
    return sorted(holders, key=lambda one: (one.leads, one.machine))


def next_member(holders: Collection[Holder], done: Collection[str]) -> Next:
    """Who is to write its file anew; waits while a member is not well."""
    left = [one for one in holders if one.machine not in done]
    if not left:
        return Next(Do.DONE)
    trouble = _trouble(holders)
    return Next(Do.WAIT, reason=trouble) if trouble else Next(Do.DEFRAGMENT, order(left)[0].machine)


def _trouble(holders: Collection[Holder]) -> str:
    ill = sorted(one.machine for one in holders if not one.leader)
    if ill:
        return f"not healthy: {', '.join(ill)}"
    if len({one.leader for one in holders}) > 1:
        return "its members do not agree on who leads"
    return ""
