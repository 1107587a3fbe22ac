"""Every interleaving of two sentinels' looks and steps with what happens to a cluster.

A look is torn in two: etcd is read at one moment, machines and members are seen at another, and
the step that follows is done at a third. Between them, anything happens.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pgstead.errors import PgsteadError
from pgstead.sentinel import invariants
from pgstead.sentinel.decision import judge
from pgstead.sentinel.evidence import Evidence
from pgstead.sentinel.observation import Dcs
from pgstead.sentinel.steps import Act, Note, PowerOff, Stand, Step, TakeKey
from support.sentinel_world import NAMES, TTL, World

Event = Callable[[World, str], None]
"""Something that happens to the cluster, mostly to the member of that name."""


def nothing(world: World, name: str) -> None:
    del world, name


def a_second_passes(world: World, name: str) -> None:
    del name
    world.second()


def patroni_acts(world: World, name: str) -> None:
    del name
    world.settle()


def a_lease_is_over(world: World, name: str) -> None:
    """Two seconds, in the last of which the lease ends unless it was renewed in the first."""
    del name
    world.renewed -= TTL - 2
    world.second()
    world.second()


def power_is_lost(world: World, name: str) -> None:
    world.power_off(name)


def it_comes_back(world: World, name: str) -> None:
    world.start(name)


def it_restarts_and_leads_again(world: World, name: str) -> None:
    world.power_off(name)
    world.start(name)
    world.settle()


def it_restarts_and_boots_yet(world: World, name: str) -> None:
    world.power_off(name)
    world.start(name)
    world.servers[name].frozen = True


def it_freezes(world: World, name: str) -> None:
    world.servers[name].frozen = world.servers[name].on


def it_thaws(world: World, name: str) -> None:
    world.thaw(name)


def it_is_late_and_silent(world: World, name: str) -> None:
    world.servers[name].paced, world.servers[name].deaf = False, True


def it_loses_etcd_and_us(world: World, name: str) -> None:
    world.servers[name].cut_off = world.servers[name].deaf = True


def its_platform_is_lost(world: World, name: str) -> None:
    world.servers[name].unseen = True


def a_command_begins(world: World, name: str) -> None:
    del name
    world.held = "`pgstead up`"


def patroni_is_paused(world: World, name: str) -> None:
    del name
    world.paused = True


def quorum_is_lost(world: World, name: str) -> None:
    del name
    world.quorum = False


def the_other_is_elected(world: World, name: str) -> None:
    del name
    world.acting = "two" if world.acting == "one" else "one"


def nobody_is_elected(world: World, name: str) -> None:
    del name
    world.acting = ""


def all_is_well(world: World, name: str) -> None:
    del name
    world.quorum, world.paused, world.held, world.acting = True, False, "", "one"
    for server in world.servers.values():
        server.unseen = server.deaf = server.cut_off = False
        server.paced = True
        world.thaw(server.name)
        world.start(server.name)


STRIKES: tuple[Event, ...] = (
    power_is_lost,
    it_freezes,
    it_restarts_and_boots_yet,
    it_is_late_and_silent,
    it_loses_etcd_and_us,
)
BETWEEN: tuple[Event, ...] = (
    nothing,
    a_second_passes,
    patroni_acts,
    a_lease_is_over,
    *STRIKES,
    it_comes_back,
    it_restarts_and_leads_again,
    it_thaws,
    its_platform_is_lost,
    a_command_begins,
    patroni_is_paused,
    quorum_is_lost,
    the_other_is_elected,
    nobody_is_elected,
    all_is_well,
)

names = st.sampled_from((*NAMES, "leader", "leader", "leader"))
sentinels = st.sampled_from(("one", "one", "two"))
between = st.lists(st.tuples(st.sampled_from(BETWEEN), names), max_size=3)


@dataclass
class Sentinel:
    """A sentinel between two moments of its work."""

    name: str
    evidence: Evidence = field(default_factory=Evidence)
    at: float = 0.0
    dcs: Dcs | None = None
    step: Step = field(default_factory=lambda: Stand(""))


class Cluster(RuleBasedStateMachine):
    """What happens, in any order. Steps that were done are counted in `done`."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(acting="one")
        self.sentinels = {name: Sentinel(name) for name in ("one", "two")}

    def happen(self, events: Sequence[tuple[Event, str]]) -> None:
        for event, name in events:
            leader = self.world.leader.member if self.world.leader else "a"
            event(self.world, leader if name == "leader" else name)
            self.one_takes_writes()

    @rule(events=between)
    def things_happen(self, events: list[tuple[Event, str]]) -> None:
        self.happen(events)

    @rule(name=sentinels, seconds=st.integers(1, 10))
    def watch(self, name: str, seconds: int) -> None:
        """Looks and steps without an interruption, as it mostly is."""
        for _ in range(seconds):
            for _ in range(4):
                self._read(name)
                self._decide(name)
                self._act(name)
            self.world.second()

    @rule(name=sentinels, first=between, second=between)
    def torn(
        self, name: str, first: list[tuple[Event, str]], second: list[tuple[Event, str]]
    ) -> None:
        """One look and one step, with something between their parts."""
        self._read(name)
        self.happen(first)
        self._decide(name)
        self.happen(second)
        self._act(name)

    @rule(strike=st.sampled_from(STRIKES), seconds=st.integers(0, 9))
    def a_leader_is_struck(self, strike: Event, seconds: int) -> None:
        """All was well and watched; what follows is up to the next rules."""
        self.happen([(all_is_well, "a")])
        self.watch("one", 4)
        self.happen([(strike, "leader")])
        self.watch("one", seconds)

    @rule(name=sentinels)
    def start_anew(self, name: str) -> None:
        self.sentinels[name] = Sentinel(name)

    # -- a sentinel's work ---------------------------------------------------------------------

    def _read(self, name: str) -> None:
        sentinel = self.sentinels[name]
        sentinel.at, sentinel.dcs = self.world.now, self.world.etcd()

    def _decide(self, name: str) -> None:
        sentinel = self.sentinels[name]
        seen = self.world.seen(sentinel.dcs, sentinel.at)
        sentinel.evidence = sentinel.evidence.after(seen)
        sentinel.step = judge(sentinel.evidence, seen, name)
        invariants.check(sentinel.step, sentinel.evidence, seen, name)
        self._must_be_right(sentinel)

    def _must_be_right(self, sentinel: Sentinel) -> None:
        """What the sentinel cannot know, but must have got right at that moment."""
        step = sentinel.step
        if isinstance(step, Note | PowerOff | TakeKey):
            server = self.world.servers[step.machine]
            answers = server.lives and not server.deaf
            lives = answers if isinstance(step, Note) else server.lives
            assert not lives, f"{step} is about a leader that lives"
            assert not self.world.held
            assert sentinel.dcs
            assert sentinel.dcs.leader
            assert not sentinel.dcs.paused
            if server.on:
                lease = sentinel.dcs.leader.lease
                assert server.session == lease, f"{step} is about a machine that came back"

    def _act(self, name: str) -> None:
        sentinel = self.sentinels[name]
        step, sentinel.step = sentinel.step, Stand("")
        if isinstance(step, Act) and not self.world.held:
            with suppress(PgsteadError):
                self.world.act(step, name)

    # -- what must never be ----------------------------------------------------------------------

    @invariant()
    def one_takes_writes(self) -> None:
        assert len(self.world.writers()) <= 1, self.world.writers()

    @invariant()
    def no_key_was_taken_from_one_that_ran(self) -> None:
        assert self.world.wronged == []


Cluster.TestCase.settings = settings(
    max_examples=120,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
TestInterleavings = Cluster.TestCase
