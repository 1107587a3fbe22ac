from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgstead.clusters import etcd_membership as membership
from pgstead.clusters.etcd_membership import Do, Next, Seat, View, quorum

ME = "https://me:2380"


def seat(number: int, **changes: Any) -> Seat:
    return replace(Seat(number, f"m{number}", f"https://m{number}:2380", True), **changes)


MINE = Seat(99, "me", ME, True, healthy=True)


def view(*seats: Seat, version: str = "3.4.23") -> View:
    return View(seats, version)


def join(seen: View | None, **known: bool) -> Do:
    facts = {"has_data": False, "running": False, "established": True, **known}
    return membership.join(seen, name="me", peer_url=ME, **facts).do


class TestJoin:
    def test_nobody_there_yet(self) -> None:
        assert join(None, established=False) is Do.BOOTSTRAP

    def test_first_ones_of_a_cluster_that_is_being_made_are_joined(self) -> None:
        """Without a quorum yet: the one that is started now may complete it."""
        others = seat(1, healthy=False), seat(2, started=False, healthy=False)
        mine = replace(MINE, started=False, healthy=False)
        assert join(view(*others, mine), established=False) is Do.BOOTSTRAP
        assert join(view(*others, mine)) is Do.WAIT

    def test_nobody_answers_although_somebody_should(self) -> None:
        assert join(None) is Do.WAIT

    def test_own_data_starts_whoever_answers(self) -> None:
        assert join(None, has_data=True) is Do.START
        ill = seat(1, healthy=False), seat(2, healthy=False)
        assert join(view(*ill, replace(MINE, healthy=False)), has_data=True) is Do.START

    def test_new_member_is_added_as_learner(self) -> None:
        assert join(view(seat(1), seat(2), seat(3))) is Do.ADD

    def test_one_learner_at_a_time(self) -> None:
        assert join(view(seat(1), seat(2), seat(3, learner=True))) is Do.WAIT

    def test_not_while_a_member_is_ill(self) -> None:
        assert join(view(seat(1), seat(2), seat(3, healthy=False))) is Do.WAIT

    def test_namesake_without_data_is_removed(self) -> None:
        assert join(view(seat(1), seat(2), replace(MINE, healthy=False))) is Do.REMOVE

    def test_not_removed_where_that_would_cost_the_quorum(self) -> None:
        ill = replace(MINE, healthy=False)
        assert join(view(seat(1), seat(2, healthy=False), ill)) is Do.WAIT

    def test_listed_and_never_started_just_starts(self) -> None:
        mine = replace(MINE, started=False, healthy=False)
        assert join(view(seat(1), seat(2), mine)) is Do.START

    def test_data_of_a_removed_member_is_wiped(self) -> None:
        assert join(view(seat(1), seat(2)), has_data=True) is Do.WIPE

    def test_running_learner_is_promoted(self) -> None:
        mine = replace(MINE, learner=True, healthy=False)
        assert join(view(seat(1), seat(2), mine), has_data=True, running=True) is Do.PROMOTE

    @pytest.mark.parametrize("version", ["3.5.1", "3.5.9", "3.5.19"])
    def test_promotion_is_refused_where_it_corrupts(self, version: str) -> None:
        seen = view(seat(1), replace(MINE, learner=True), version=version)
        following = membership.join(
            seen, name="me", peer_url=ME, has_data=True, running=True, established=True
        )
        assert following.do is Do.REFUSE
        assert version in following.reason

    @pytest.mark.parametrize("version", ["3.4.23", "3.5.0", "3.5.20", "3.6.1", ""])
    def test_and_only_there(self, version: str) -> None:
        assert membership.promotion_refused(version) is None


class TestLeave:
    def test_unlisted_may_go(self) -> None:
        assert membership.leave(view(seat(1)), ME).do is Do.GO

    def test_healthy_cluster(self) -> None:
        assert membership.leave(view(seat(1), seat(2), MINE), ME) == Next(Do.REMOVE, "", 99)

    def test_ill_member_goes_first(self) -> None:
        seen = view(seat(1), seat(2, healthy=False), seat(3), MINE)
        assert membership.leave(seen, ME).do is Do.WAIT

    def test_never_below_quorum(self) -> None:
        assert membership.leave(view(seat(1), seat(2, healthy=False), MINE), ME).do is Do.REFUSE

    def test_never_the_last(self) -> None:
        assert membership.leave(view(MINE), ME).do is Do.REFUSE

    def test_waits_while_nobody_answers(self) -> None:
        assert membership.leave(None, ME).do is Do.WAIT


class TestRestart:
    def test_only_while_all_others_are_healthy(self) -> None:
        assert membership.restart(view(seat(1), seat(2), MINE), ME).do is Do.GO
        assert membership.restart(view(seat(1), seat(2, healthy=False), MINE), ME).do is Do.WAIT

    def test_one_that_is_down_disturbs_nobody(self) -> None:
        ill = replace(MINE, healthy=False)
        assert membership.restart(view(seat(1), seat(2, healthy=False), ill), ME).do is Do.GO
        assert membership.restart(None, ME).do is Do.GO


def test_initial_cluster_names_everybody_and_itself() -> None:
    unnamed = Seat(255, "", "https://new:2380", False)
    told = view(seat(1), unnamed).initial_cluster("me", ME)
    assert told == f"m1=https://m1:2380,member-ff=https://new:2380,me={ME}"


@dataclass
class World:
    """A cluster as etcd would have it, seen from the machine that is to join."""

    seats: dict[int, Seat]
    data: int | None
    up: bool = False
    next_id: int = 1000

    @property
    def mine(self) -> Seat | None:
        return next((seat for seat in self.seats.values() if seat.peer_url == ME), None)

    def view(self) -> View:
        return View(tuple(self.seats.values()), "3.4.23")

    def act(self, following: Next) -> None:
        getattr(self, f"_{following.do.value}")(following)

    def _start(self, _: Next) -> None:
        mine = self.mine
        assert mine is not None, "etcd refuses a member that is not listed"
        assert self.data in (None, mine.id), "etcd refuses the data of a removed member"
        assert mine.started is (self.data is not None) or not mine.started
        self.data, self.up = mine.id, True
        self.seats[mine.id] = replace(mine, name="me", started=True, healthy=not mine.learner)

    def _remove(self, following: Next) -> None:
        assert self.view().has_quorum
        del self.seats[following.member]

    def _wipe(self, _: Next) -> None:
        mine = self.mine
        assert mine is None or mine.id != self.data, "data of a listed member is never wiped"
        self.data, self.up = None, False

    def _add(self, _: Next) -> None:
        assert self.view().has_quorum
        assert not any(seat.learner for seat in self.seats.values())
        self.next_id += 1
        self.seats[self.next_id] = Seat(self.next_id, "", ME, False, learner=True, healthy=False)

    def _promote(self, following: Next) -> None:
        learner = self.seats[following.member]
        assert learner.learner
        assert learner.started
        self.seats[following.member] = replace(learner, learner=False, healthy=True)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    others = draw(st.integers(2, 5))
    seats = {n: seat(n) for n in range(others)}
    listed = draw(st.sampled_from(["no", "unstarted", "started", "learner", "new learner"]))
    data: int | None = draw(st.sampled_from([None, 7777]))
    if listed != "no":
        started = listed in ("started", "learner")
        learner = "learner" in listed
        seats[99] = Seat(99, "me", ME, started, learner, healthy=False)
        # A stale folder and a listed member cannot meet: the folder is wiped before.
        data = 99 if started and draw(st.booleans()) else None
    return World(seats, data)


@given(worlds(), st.lists(st.booleans(), min_size=20, max_size=20))
def test_joining_converges_from_anywhere_and_keeps_the_quorum(
    world: World, killed: list[bool]
) -> None:
    running = False
    for kill in killed:
        following = membership.join(
            world.view(),
            name="me",
            peer_url=ME,
            has_data=world.data is not None,
            running=running,
            established=True,
        )
        if following.do is Do.DONE:
            break
        assert following.do not in (Do.WAIT, Do.REFUSE, Do.BOOTSTRAP), following.reason
        world.act(following)
        assert world.view().has_quorum
        # Whoever is killed after the step begins anew, with what can be observed alone.
        running = following.do is Do.START or (running and not kill)
    mine = world.mine
    assert mine is not None
    assert (mine.learner, mine.healthy, mine.id) == (False, True, world.data)


@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=7),
    st.integers(0, 6),
)
def test_leaving_and_restarting_never_cost_the_quorum(
    members: list[tuple[bool, bool]], which: int
) -> None:
    seats = [
        seat(n, healthy=healthy, learner=learner) for n, (healthy, learner) in enumerate(members)
    ]
    seen, chosen = View(tuple(seats)), seats[which % len(seats)]
    rest = [s for s in seen.voters if s.id != chosen.id]
    if membership.leave(seen, chosen.peer_url).do is Do.REMOVE:
        assert seen.has_quorum
        assert sum(s.healthy for s in rest) >= quorum(len(rest))
    decided = membership.restart(seen, chosen.peer_url)
    if decided.do is Do.GO and chosen.healthy and len(seen.voters) > 2:
        assert sum(s.healthy for s in rest) >= quorum(len(seen.voters))
