"""Each rule of the decision by itself, against a model of a cluster."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from pgstead.errors import PgsteadError
from pgstead.sentinel.decision import decide
from pgstead.sentinel.observation import Seen
from pgstead.sentinel.steps import (
    Act,
    Forget,
    Note,
    PowerOff,
    Stand,
    Start,
    Step,
    TakeKey,
)
from support.sentinel_world import World

WATCHED = 5
"""Seconds after which a sentinel knows a healthy leader."""


def healthy() -> tuple[World, Iterator[Step]]:
    """A cluster that a sentinel has watched for a while; `a` leads."""
    world = World()
    steps = decide(world.look, "me")
    for _ in range(WATCHED):
        assert next(steps) == Stand("a leads")
        world.second()
    return world, steps


def acts(world: World, steps: Iterator[Step], seconds: int, me: str = "me") -> list[Step]:
    """What is done in so many seconds, a few looks in each."""
    done: list[Step] = []
    for _ in range(seconds):
        for _ in range(4):
            step = next(steps)
            if isinstance(step, Act):
                world.act(step, me)
                done.append(step)
            world.settle()
        world.second()
    return done


def reason(world: World, steps: Iterator[Step], seconds: int = 8) -> str:
    """Why nothing is done in so many seconds: the last reason."""
    why = ""
    for _ in range(seconds):
        for _ in range(4):
            step = next(steps)
            assert isinstance(step, Stand), step
            why = step.reason
        world.second()
    return why


def kinds(steps: list[Step]) -> list[type]:
    return [type(step) for step in steps]


def test_a_leader_whose_machine_is_off_loses_its_key_and_comes_back_as_a_standby() -> None:
    world, steps = healthy()
    world.power_off("a")
    done = acts(world, steps, 3)
    assert kinds(done) == [Note, TakeKey, Start, Forget]
    assert world.deleted == ["a"]
    assert world.servers["a"].lives
    assert world.writers() == ["b"]
    assert world.fenced == {}


def test_a_frozen_leader_is_powered_off_at_that_boot_before_its_key_is_taken() -> None:
    world, steps = healthy()
    world.servers["a"].frozen = True
    done = acts(world, steps, 8)
    assert kinds(done)[:3] == [Note, PowerOff, TakeKey]
    assert done[1] == PowerOff("a", "a-boot-1")
    assert world.writers() == ["b"]
    assert kinds(done)[3:] == [Start, Forget]


def test_a_leader_that_is_frozen_is_left_alone_until_standbys_receive_no_more() -> None:
    world, steps = healthy()
    world.servers["a"].frozen = True
    assert reason(world, steps, 4) == "a is silent, but b, c receives WAL"


def test_one_look_at_a_machine_that_is_off_is_not_enough() -> None:
    world, steps = healthy()
    world.power_off("a")
    assert next(steps) == Stand("a, the leader's machine, is off", closely=True)
    world.start("a")
    world.settle()
    assert next(steps) == Stand("a leads")


Fault = Callable[[World], None]


def dead(world: World) -> None:
    world.power_off("a")


def frozen(world: World) -> None:
    world.servers["a"].frozen = True


@pytest.mark.parametrize("fault", [dead, frozen])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"quorum": False}, "etcd has no quorum"),
        ({"paused": True}, "Patroni is paused"),
        ({"held": "`pgstead up`"}, "`pgstead up` works on the stack"),
        ({"acting": "another"}, "another sentinel acts: another"),
        ({"acting": ""}, "another sentinel acts: none yet"),
        ({"rests_until": 200}, "another fencing was a moment ago"),
    ],
)
def test_it_stands_still(fault: Fault, change: dict[str, object], words: str) -> None:
    world, steps = healthy()
    fault(world)
    for key, value in change.items():
        setattr(world, key, value)
    assert words in reason(world, steps)
    assert world.deleted == []


@pytest.mark.parametrize("fault", [dead, frozen])
def test_a_switchover_that_was_asked_for_is_patronis(fault: Fault) -> None:
    world, _ = healthy()
    steps = decide(lambda closely: _with(world.look(closely), failover=True), "me")
    for _ in range(WATCHED):
        next(steps)
        world.second()
    fault(world)
    assert "a switchover or failover was asked for" in reason(world, steps)


def _with(seen: Seen, **changes: object) -> Seen:
    return replace(seen, dcs=replace(seen.dcs, **changes)) if seen.dcs else seen  # type: ignore[arg-type]


@pytest.mark.parametrize("fault", [dead, frozen])
def test_nobody_is_fenced_whom_nobody_could_follow(fault: Fault) -> None:
    world, steps = healthy()
    world.power_off("c")
    fault(world)
    assert "a is not fenced: Patroni wants 2 of b, c; b can race" in reason(world, steps)


def test_a_platform_that_cannot_be_reached_means_to_wait_for_the_lease() -> None:
    world, steps = healthy()
    frozen(world)
    world.servers["a"].unseen = True
    said = reason(world, steps)
    assert said.startswith("the platform cannot tell of a, so its lease is waited for")
    assert "its host does not answer" in said


def test_a_leader_that_answers_is_not_fenced_however_late_it_is() -> None:
    world, steps = healthy()
    world.servers["a"].paced = False
    assert reason(world, steps, 12) == "a did not renew its lease, but it answers"


def test_a_leader_that_answers_is_not_fenced_although_its_platform_says_that_it_is_off() -> None:
    world, _ = healthy()

    def wrong(closely: bool) -> Seen:  # noqa: FBT001 - `decision.Look`
        seen = world.look(closely)
        return replace(seen, machines={**seen.machines, "a": replace(seen.leaders, on=False)})

    steps = decide(wrong, "me")
    assert "the platform says that a is off, but it answers" in reason(world, steps)


def test_a_leader_that_streams_is_not_fenced_although_it_is_silent_and_late() -> None:
    world, steps = healthy()
    world.servers["a"].paced, world.servers["a"].deaf = False, True
    assert kinds(acts(world, steps, 12)) == [Note]
    assert next(steps) == Stand("a is silent, but b, c receives WAL", closely=True)
    world.servers["a"].paced, world.servers["a"].deaf = True, False
    assert kinds(acts(world, steps, 2)) == [Forget]
    assert world.writers() == ["a"]


def test_a_leader_that_renews_is_not_fenced_although_it_is_silent() -> None:
    world, steps = healthy()
    world.servers["a"].deaf = True
    assert reason(world, steps, 12) == "a leads"


def test_a_leader_in_failsafe_mode_is_not_fenced() -> None:
    world, steps = healthy()
    leader = world.servers["a"]
    leader.cut_off = leader.deaf = True
    for server in world.servers.values():
        server.heard = 0  # so that streaming is not what saves it
    world._stream = lambda: None  # type: ignore[method-assign]
    assert kinds(acts(world, steps, 8)) == [Note]
    assert next(steps) == Stand("a is silent, but goes on in failsafe mode", closely=True)


def test_a_machine_that_came_back_is_not_hit() -> None:
    world, steps = healthy()
    frozen(world)
    assert "receives WAL" in reason(world, steps, 4)
    world.power_off("a")
    world.start("a")
    world.servers["a"].frozen = True  # it still boots
    said = reason(world, steps, 8)
    assert (
        said
        == "a is silent, but was not seen to lead since it was started: its lease is waited for"
    )


def test_a_sentinel_that_was_just_started_waits_for_the_lease_of_a_frozen_leader() -> None:
    world, _ = healthy()
    frozen(world)
    world.second()
    steps = decide(world.look, "me")
    assert "was not seen to lead since it was started" in reason(world, steps, 10)


def test_a_leader_that_is_thawed_in_time_is_left_alone_and_its_note_goes() -> None:
    world, steps = healthy()
    frozen(world)
    for _ in range(30):
        step = next(steps)
        if isinstance(step, Note):
            world.act(step)
            break
        world.second()
    assert world.fenced == {"a": "a-boot-1"}
    world.servers["a"].frozen = False
    world.second()
    assert kinds(acts(world, steps, 2)) == [Forget]
    assert world.writers() == ["a"]
    assert world.deleted == []


def test_a_key_that_was_taken_anew_meanwhile_stays() -> None:
    world, steps = healthy()
    dead(world)
    step = next(steps)
    while not isinstance(step, TakeKey):
        if isinstance(step, Act):
            world.act(step)
        step = next(steps)
    world.start("a")
    world.settle()  # it takes the key with another lease
    world.power_off("a")
    with pytest.raises(PgsteadError, match="another one by now"):
        world.act(step)
    assert world.deleted == []


@pytest.mark.parametrize("fault", [dead, frozen])
@pytest.mark.parametrize("stopped_after", range(5))
def test_a_sentinel_that_is_stopped_after_a_step_is_followed_by_another(
    fault: Fault, stopped_after: int
) -> None:
    world, steps = healthy()
    fault(world)
    left = stopped_after
    while left:
        step = next(steps)
        if isinstance(step, Act):
            world.act(step)
            left -= 1
        world.settle()
        world.second()
    del steps
    assert len(world.writers()) < 2
    world.acting = "next"
    another = decide(world.look, "next")
    # The next one may know too little of a leader that still is frozen: its lease ends then.
    acts(world, another, 40, me="next")
    assert len(world.writers()) == 1
    assert world.servers["a"].on
    assert world.fenced == {}
