from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgstead.clusters import rolling
from pgstead.clusters.rolling import Do, Next, Node, View


def standby(name: str, **changes: Any) -> Node:
    return replace(Node(name, leader=False, serving=True, synchronous=True), **changes)


LEADER = Node("a", leader=True, serving=True)


def view(*nodes: Node, **changes: Any) -> View:
    names = frozenset(node.name for node in nodes)
    return replace(View(nodes, names, synchronous=True, strict=True), **changes)


class TestRoll:
    def test_nothing_pending(self) -> None:
        assert rolling.roll(view(LEADER, standby("b"))).do is Do.DONE

    def test_standbys_first_the_asynchronous_before_all(self) -> None:
        nodes = (
            replace(LEADER, pending=True),
            standby("b", pending=True),
            standby("c", pending=True, synchronous=False),
        )
        assert rolling.roll(view(*nodes)) == Next(Do.RESTART, "", "c")

    def test_leader_last_by_switchover(self) -> None:
        nodes = replace(LEADER, pending=True), standby("b"), standby("c")
        assert rolling.roll(view(*nodes)) == Next(Do.SWITCHOVER, "", "a", "")

    def test_lowered_on_the_primary_first(self) -> None:
        nodes = replace(LEADER, pending=True, lowering=True), standby("b", pending=True)
        following = rolling.roll(view(*nodes))
        assert (following.do, following.member) == (Do.RESTART, "a")

    def test_a_single_server_restarts_in_place(self) -> None:
        assert rolling.roll(view(replace(LEADER, pending=True))).do is Do.RESTART

    def test_waits_while_another_is_down(self) -> None:
        nodes = LEADER, standby("b", pending=True), standby("c", serving=False)
        following = rolling.roll(view(*nodes))
        assert (following.do, following.reason) == (Do.WAIT, "not serving: c")

    def test_restarts_the_one_that_is_down_for_it(self) -> None:
        nodes = LEADER, standby("b"), standby("c", serving=False, pending=True)
        assert rolling.roll(view(*nodes)) == Next(Do.RESTART, "", "c")

    def test_never_while_paused(self) -> None:
        assert rolling.roll(view(LEADER, standby("b", pending=True), paused=True)).do is Do.REFUSE


class TestDisturb:
    def test_leader_hands_over_before(self) -> None:
        seen = view(LEADER, standby("b", synchronous=False), standby("c"))
        assert rolling.disturb(seen, "a") == Next(Do.SWITCHOVER, "", "a", "")

    def test_leader_whose_patroni_alone_is_started_anew_goes_on_leading(self) -> None:
        nodes = LEADER, standby("b"), standby("c")
        assert rolling.disturb(view(*nodes), "a", keeps_leading=True) == Next(Do.GO)
        down = LEADER, standby("b"), standby("c", serving=False)
        assert rolling.disturb(view(*down), "a", keeps_leading=True).do is Do.WAIT

    def test_not_to_one_that_may_not_lead(self) -> None:
        seen = view(LEADER, standby("b", eligible=False))
        assert rolling.disturb(seen, "a").do is Do.WAIT

    def test_down_already(self) -> None:
        assert rolling.disturb(view(LEADER, standby("b", serving=False)), "b").do is Do.GO
        assert rolling.disturb(None, "b").do is Do.GO

    def test_alone(self) -> None:
        assert rolling.disturb(view(LEADER), "a").do is Do.GO

    def test_waits_for_the_others(self) -> None:
        assert (
            rolling.disturb(view(replace(LEADER, serving=False), standby("b")), "b").do is Do.WAIT
        )


@pytest.mark.parametrize(
    ("others", "chosen"),
    [
        ((standby("b"), standby("c")), ""),
        ((standby("b"), standby("c", eligible=False)), ""),
        ((standby("b", synchronous=False), standby("c")), ""),
        ((standby("b"),), "b"),
        ((standby("b", pending=True), standby("c")), "c"),
    ],
)
def test_one_is_named_only_where_not_all_who_could_win_are_as_good(
    others: tuple[Node, ...], chosen: str
) -> None:
    following = rolling.disturb(view(LEADER, *others), "a")
    assert following == Next(Do.SWITCHOVER, "", "a", chosen)


def test_the_role_is_not_left_to_one_that_goes_too() -> None:
    seen = view(LEADER, *map(standby, "bcd"), expected=frozenset("cd"))
    assert rolling.remove(seen, "a") == Next(Do.SWITCHOVER, "", "a", "c")


class TestRemove:
    def test_standby_of_three(self) -> None:
        assert rolling.remove(view(LEADER, standby("b"), standby("c")), "c").do is Do.GO

    def test_leader_hands_over_to_one_that_stays(self) -> None:
        nodes = LEADER, standby("b"), standby("c"), standby("d")
        seen = replace(view(*nodes), expected=frozenset({"c", "d"}))
        assert rolling.remove(seen, "a") == Next(Do.SWITCHOVER, "", "a", "c")

    def test_last_synchronous_standby_stays(self) -> None:
        assert rolling.remove(view(LEADER, standby("b")), "b").do is Do.REFUSE
        assert rolling.remove(view(LEADER, standby("b")), "a").do is Do.REFUSE

    def test_but_goes_where_commits_need_none(self) -> None:
        assert rolling.remove(view(LEADER, standby("b"), strict=False), "b").do is Do.GO

    def test_waits_for_another_standby(self) -> None:
        seen = view(LEADER, standby("b"), standby("c", serving=False))
        assert rolling.remove(seen, "b").do is Do.WAIT

    def test_gone_already(self) -> None:
        assert rolling.remove(view(LEADER, standby("b")), "x").do is Do.GO


@dataclass
class World:
    """A cluster in which restarts and switchovers take effect at once."""

    nodes: dict[str, Node]
    switchovers: int = 0

    def view(self) -> View:
        return view(*self.nodes.values())

    def act(self, following: Next) -> None:
        serving = [node for node in self.nodes.values() if node.serving]
        assert len(serving) == len(self.nodes), "one is disturbed while another is down"
        if following.do is Do.RESTART:
            self._restart(following.member)
        else:
            self._switch(following)

    def _restart(self, name: str) -> None:
        others = [n for n in self.nodes.values() if n.name != name and not n.leader and n.serving]
        node = self.nodes[name]
        if len(self.nodes) > 2 and not node.leader:
            assert any(other.synchronous for other in others)
        leader = next(node for node in self.nodes.values() if node.leader)
        # A standby that restarts before its primary was lowered keeps the old value.
        waits = node.lowering and not node.leader and leader.lowering
        self.nodes[name] = replace(node, pending=waits, lowering=waits)

    def _switch(self, following: Next) -> None:
        self.switchovers += 1
        able = [n for n in self.nodes.values() if n.eligible and n.synchronous and not n.leader]
        new = self.nodes[following.candidate] if following.candidate else able[-1]
        old = self.nodes[following.member]
        assert new.serving
        assert new.synchronous
        self.nodes[old.name] = replace(
            old, leader=False, synchronous=True, pending=False, lowering=False
        )
        self.nodes[new.name] = replace(new, leader=True, synchronous=False)


@given(pending=st.lists(st.booleans(), min_size=1, max_size=6), lowering=st.booleans())
def test_rolling_disturbs_one_at_a_time_and_ends(*, pending: list[bool], lowering: bool) -> None:
    nodes = {
        f"n{i}": Node(f"n{i}", i == 0, True, i != 0, waits, waits and lowering)
        for i, waits in enumerate(pending)
    }
    world = World(nodes)
    for _ in range(3 * len(nodes) + 1):
        following = rolling.roll(world.view())
        if following.do is Do.DONE:
            break
        assert following.do in (Do.RESTART, Do.SWITCHOVER), following.reason
        world.act(following)
        assert sum(node.leader for node in world.nodes.values()) == 1
    assert not any(node.pending for node in world.nodes.values())
    assert world.switchovers <= 1


@st.composite
def views(draw: st.DrawFn) -> View:
    flags = draw(st.lists(st.tuples(*[st.booleans()] * 4), min_size=1, max_size=5))
    lead = draw(st.integers(-1, 4))
    nodes = tuple(
        Node(f"n{i}", i == lead, serving, sync, pending, lowering)
        for i, (serving, sync, pending, lowering) in enumerate(flags)
    )
    return view(*nodes, strict=draw(st.booleans()), paused=draw(st.booleans()))


@given(views(), st.integers(0, 4))
def test_no_decision_ever_takes_a_second_member_or_the_last_standby(seen: View, which: int) -> None:
    name = f"n{which % len(seen.nodes)}"
    for following, member in ((rolling.roll(seen), None), (rolling.disturb(seen, name), name)):
        moved = member if following.do is Do.GO else following.member
        node = seen.node(moved or "")
        if following.do in (Do.GO, Do.RESTART, Do.SWITCHOVER) and node and node.serving:
            others = [n for n in seen.nodes if n.name != node.name]
            assert all(n.serving for n in others)
            assert not (seen.paused and others)
        if following.do is Do.SWITCHOVER:
            could = [n for n in seen.nodes if n.name != following.member and n.synchronous]
            chosen = [n for n in could if following.candidate in ("", n.name)]
            assert chosen
            assert all(n.serving for n in chosen)
            assert following.candidate or not any(n.pending for n in could)
    gone = seen.node(name)
    if rolling.remove(seen, name).do is Do.GO and gone and seen.strict:
        left = [n for n in seen.nodes if n.name != name and n.serving and not n.leader]
        assert left
        assert not gone.leader
