"""What to do next when members of a Patroni cluster are to be disturbed. Pure.

One member at a time, only while all others serve; standbys first and the leader last,
after a switchover. What must be lowered on the primary before its standbys
(`settings.PRIMARY_FIRST`) is the exception. Every decision rests on what is observed
alone.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum


class Do(StrEnum):
    """The next thing to do."""

    RESTART = "restart"
    SWITCHOVER = "switchover"
    GO = "go"
    DONE = "done"
    WAIT = "wait"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Next:
    """What to do next, and why.

    In a switchover `candidate` takes over from `member`; where it is empty, Patroni chooses.
    """

    do: Do
    reason: str = ""
    member: str = ""
    candidate: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """A member: `serving` means a leader that runs or a standby that streams.

    `pending` means that settings wait for a restart, `lowering` that one of them must
    reach the primary first; `eligible` that Patroni may make it the leader.
    """

    name: str
    leader: bool
    serving: bool
    synchronous: bool = False
    pending: bool = False
    lowering: bool = False
    eligible: bool = True


@dataclass(frozen=True, slots=True)
class View:
    """A cluster as its members tell it; `expected` are the names that should be there.

    `synchronous` tells that commits wait for `node_count` standbys; `strict` that they
    do so even when there is none.
    """

    nodes: tuple[Node, ...]
    expected: frozenset[str]
    paused: bool = False
    synchronous: bool = False
    strict: bool = False
    node_count: int = 1

    @property
    def leader(self) -> Node | None:
        """The one with the leader's lock, if it runs."""
        return next((node for node in self.nodes if node.leader and node.serving), None)

    def node(self, name: str) -> Node | None:
        """The member of that name."""
        return next((node for node in self.nodes if node.name == name), None)

    def trouble(self, *, but: str = "") -> str:
        """What keeps it from being healthy, in words; empty if it is. `but` is left out."""
        found = {node.name: node for node in self.nodes}
        down = sorted(
            name for name in self.expected - {but} if name not in found or not found[name].serving
        )
        if down:
            return f"not serving: {', '.join(down)}"
        return "" if self.leader or self._is_leader(but) else "it has no leader"

    def _is_leader(self, name: str) -> bool:
        node = self.node(name)
        return node is not None and node.leader

    def candidates(self, among: Collection[str]) -> tuple[Node, ...]:
        """Standbys that may lead, those without pending settings first."""
        able = (
            node
            for node in self.nodes
            if node.name in among and node.serving and node.eligible and not node.leader
        )
        fit = [node for node in able if node.synchronous or not self.synchronous]
        return tuple(sorted(fit, key=lambda node: (node.pending, node.name)))


PAUSED = "the cluster is paused: somebody holds Patroni back (`patronictl resume` lets it go on)"


def roll(view: View) -> Next:
    """The next step until no member has settings that wait for a restart."""
    pending = [node for node in view.nodes if node.pending and node.name in view.expected]
    if not pending:
        return Next(Do.DONE)
    if view.paused:
        return Next(Do.REFUSE, PAUSED)
    chosen = _restarted_next(pending)
    trouble = view.trouble(but="" if chosen.leader else chosen.name)
    if trouble:
        return Next(Do.WAIT, trouble)
    if not chosen.leader or chosen.lowering:
        return Next(Do.RESTART, _why(chosen), chosen.name)
    return _leader(view, chosen, view.expected, alone=Do.RESTART)


def _restarted_next(pending: list[Node]) -> Node:
    lowering = [node for node in pending if node.leader and node.lowering]
    standbys = [node for node in pending if not node.leader]
    standbys.sort(key=lambda node: (node.synchronous, node.name))
    return [*lowering, *standbys, *pending][0]


def _why(node: Node) -> str:
    return "lowered on the primary first" if node.leader else ""


def disturb(view: View | None, name: str, *, keeps_leading: bool = False) -> Next:
    """Whether that member's services may be stopped for a moment; `GO` if so.

    A leader `keeps_leading` if its Patroni alone is started anew, within the ttl.
    """
    node = view.node(name) if view else None
    if view is None or node is None or not node.serving:
        return Next(Do.GO, "it does not serve: nothing is disturbed")
    if view.expected <= {name}:
        return Next(Do.GO, "there is no other member")
    if view.paused:
        return Next(Do.REFUSE, PAUSED)
    trouble = view.trouble(but=name)
    if trouble:
        return Next(Do.WAIT, trouble)
    if node.leader and not keeps_leading:
        return _leader(view, node, view.expected, alone=Do.GO)
    return Next(Do.GO)


def remove(view: View | None, name: str) -> Next:
    """Whether that member may go for good; the others are those `expected`."""
    if view is None:
        return Next(Do.WAIT, "no member answers")
    node = view.node(name)
    if node is None:
        return Next(Do.GO, "the cluster does not know it")
    if view.paused:
        return Next(Do.REFUSE, PAUSED)
    return _remove(view, node, view.expected - {name})


def _remove(view: View, node: Node, rest: frozenset[str]) -> Next:
    strict = view.synchronous and view.strict
    if strict and len(rest) == 1:
        return Next(
            Do.REFUSE,
            "no synchronous standby would be left: strict mode could write nothing without it",
        )
    if node.leader:
        return _leader(view, node, rest, alone=Do.REFUSE)
    if view.leader is None:
        return Next(Do.WAIT, "it has no leader")
    return _standby_goes(view, rest) if strict else Next(Do.GO)


def _standby_goes(view: View, rest: frozenset[str]) -> Next:
    """Strict mode must be left with as many standbys as it can have, and one at least."""
    left = [n.name for n in view.nodes if n.name in rest and n.serving and not n.leader]
    needed = max(1, min(view.node_count, len(rest) - 1))
    if len(left) < needed:
        return Next(Do.WAIT, f"{len(left)} other standbys stream, {needed} are needed")
    return Next(Do.GO)


def _leader(view: View, leader: Node, among: Collection[str], *, alone: Do) -> Next:
    """Hand leadership over, or do `alone` where there is nobody to take it."""
    if not set(among) - {leader.name}:
        return Next(alone, "there is no other member to lead", leader.name)
    candidates = view.candidates(among)
    if not candidates:
        return Next(Do.WAIT, "no standby can take over yet")
    chosen = "" if _any_will_do(view, leader, candidates) else candidates[0].name
    return Next(Do.SWITCHOVER, "", leader.name, chosen)


def _any_will_do(view: View, leader: Node, candidates: Collection[Node]) -> bool:
    """Whether Patroni may choose among several, which is quicker than to name one.

    The standbys that see another one named sleep for 2 s before they follow it (Patroni's
    ha.py, `process_unhealthy_cluster`), and meanwhile confirm no write. Without a name, all
    who vote have to serve (`is_failover_possible`).
    """
    others = [node for node in view.nodes if node.name != leader.name]
    able = {node.name for node in candidates}
    could_win = (n for n in others if n.eligible and (n.synchronous or not view.synchronous))
    return (
        len(others) > 1
        and all(node.serving for node in others)
        and all(node.name in able and not node.pending for node in could_win)
    )
