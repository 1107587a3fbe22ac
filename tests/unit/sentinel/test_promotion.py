"""Who could win an election: Patroni's own rule."""

from dataclasses import replace
from typing import Any

import pytest

from pgstead.sentinel.observation import Dcs, LeaderKey, Member, Mode, Seen, Sync
from pgstead.sentinel.promotion import obstacle

QUORUM = Dcs(LeaderKey("a", 1, 1), sync=Sync("a", ("b", "c"), 1), mode=Mode.QUORUM, timeline=3)
ON = replace(QUORUM, mode=Mode.SYNCHRONOUS, sync=Sync("a", ("b",)))


def standby(name: str, **changes: Any) -> Member:
    one = Member(name, answers=True, running=True, position=100, timeline=3)
    return replace(one, **changes)


def why(dcs: Dcs, *members: Member) -> str:
    asked = {"a": Member("a", answers=False), **{one.name: one for one in members}}
    return obstacle(Seen(0, 0, dcs, members=asked))


def test_in_quorum_mode_enough_of_those_who_vote_must_be_seen() -> None:
    assert why(QUORUM, standby("b"), standby("c")) == ""
    assert why(QUORUM, standby("b")) == "Patroni wants 2 of b, c; b can race"
    assert why(QUORUM) == "Patroni wants 2 of b, c; none can race"


def test_the_old_leader_does_not_vote() -> None:
    two = replace(QUORUM, sync=Sync("a", ("b",), 1))
    assert "Patroni wants 2 of b" in why(two, standby("b"))
    assert why(replace(two, sync=Sync("a", ("b",), 0)), standby("b")) == ""


def test_one_who_does_not_vote_needs_one_more() -> None:
    three = replace(QUORUM, sync=Sync("a", ("b", "c"), 1))
    behind = standby("b", eligible=False), standby("c", eligible=False)
    assert why(three, *behind, standby("d")) == ""
    assert "can race" in why(three, behind[0], standby("d"))


def test_in_synchronous_mode_one_of_those_commits_waited_for() -> None:
    assert why(ON, standby("b")) == ""
    assert why(ON, standby("c")) == "Patroni wants one of b; c can race"


def test_one_that_has_less_than_another_does_not_win() -> None:
    ahead = standby("b", eligible=False, position=200)
    assert "can race" in why(QUORUM, ahead, standby("c"))
    assert why(QUORUM, replace(ahead, eligible=True), standby("c")) == ""


@pytest.mark.parametrize(
    "change",
    [
        {"answers": False},
        {"running": False},
        {"position": 0},
        {"timeline": 2},
        {"eligible": False},
    ],
)
def test_one_that_cannot_lead(change: dict[str, Any]) -> None:
    assert "can race" in why(ON, standby("b", **change))


def test_one_that_is_no_part_of_failsafe_mode() -> None:
    assert why(replace(ON, failsafe=frozenset({"a", "b"})), standby("b")) == ""
    assert "can race" in why(replace(ON, failsafe=frozenset({"a", "c"})), standby("b"))


def test_a_second_primary() -> None:
    assert why(QUORUM, standby("b", primary=True), standby("c")) == "b is a primary itself"


def test_asynchronous_replication_may_lack_rows() -> None:
    asynchronous = replace(QUORUM, mode=Mode.ASYNCHRONOUS, sync=None)
    assert why(asynchronous, standby("b")).startswith("replication is not synchronous")
    assert why(replace(ON, sync=None), standby("b")) == "no member was synchronous"
