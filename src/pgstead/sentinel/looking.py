"""One look at a cluster: etcd first, then everything else side by side, with short timeouts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from pgstead.clients.http import Unreachable
from pgstead.clients.patroni import PatroniClient
from pgstead.errors import ClientError, PgsteadError
from pgstead.platforms.base import Power
from pgstead.sentinel.holding import Hold
from pgstead.sentinel.observation import Dcs, Machine, Member, Seen
from pgstead.sentinel.store import Store
from pgstead.sentinel.target import Place, Target

ANSWER_SECONDS = 0.5
LEADERS_SECONDS = 0.3
"""For each part of a member's answer (connection, TLS, HTTP); one that lives takes 10 ms. The
leader is asked in several looks, one after the other, before its silence counts."""

POWER_SECONDS = 2.0
"""For a platform to tell whether machines are on: a hypervisor's host may hang."""

TOO_LATE = Machine(None, reason=f"its platform did not answer within {POWER_SECONDS:.0f} s")

T = TypeVar("T")


class Powers(Protocol):
    """The part of a platform that a look takes."""

    def power(self, machine: str) -> Power:
        """Whether it is on, and which boot of it."""


@dataclass(slots=True)
class Sight:
    """Looks again and again. `later` gives the machines that are not to be started yet."""

    target: Target
    store: Store
    platform: Powers
    hold: Hold
    later: Callable[[], frozenset[str]] = frozenset
    clock: Callable[[], float] = time.monotonic
    late: dict[str, Future[Machine]] = field(default_factory=dict, init=False)
    pool: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        # The members, the leader's machine and those that were fenced.
        self.pool = ThreadPoolExecutor(2 * len(self.target.members), thread_name_prefix="look")

    def look(self, closely: bool) -> Seen:  # noqa: FBT001 - `decision.Look`
        """What is there now; `closely` asks every member. Takes a second at most, as a rule."""
        at = self.clock()
        dcs, trouble = self._etcd()
        machines = self._machines(dcs)
        members = self._members(dcs) if closely and dcs else None
        powers = self._powers(machines)
        return Seen(
            at=at,
            until=self.clock(),
            dcs=dcs,
            machines=powers,
            members=members() if members else None,
            machine_of=self.target.machine_of,
            held=self.hold.holder(),
            trouble=trouble,
            later=self.later(),
        )

    def close(self) -> None:
        """End the threads."""
        self.pool.shutdown(wait=False, cancel_futures=True)

    def _etcd(self) -> tuple[Dcs | None, str]:
        try:
            dcs = self.store.read()
            self.store.campaign(dcs.acting)
        except Unreachable:  # whose words differ from look to look
            return None, "no member answers in time"
        except ClientError as error:
            return None, error.message
        return dcs, ""

    def _machines(self, dcs: Dcs | None) -> list[str]:
        """The leader's machine, and those that were fenced."""
        if dcs is None:
            return []
        leaders = self.target.machine_of.get(dcs.leader.member) if dcs.leader else None
        known = self.target.machine_of.values()
        return list(
            dict.fromkeys(name for name in (leaders, *dcs.fenced) if name in known and name)
        )

    def _members(self, dcs: Dcs) -> Callable[[], Mapping[str, Member]]:
        leader = dcs.leader.member if dcs.leader else ""
        places = {one.name: one for one in self.target.members}
        return self._gathered(
            lambda name: _asked(places[name], self.target, leads=name == leader), places
        )

    def _powers(self, machines: Iterable[str]) -> dict[str, Machine]:
        """Whether they are on; a platform that does not answer in time keeps nobody waiting.

        An answer that comes later is thrown away: it may be from before etcd was read.
        """
        late = {name for name, one in self.late.items() if not one.done()}
        asked = {n: self.pool.submit(self._power, n) for n in machines if n not in late}
        wait_for(asked.values(), POWER_SECONDS)
        known = {name: one.result() for name, one in asked.items() if one.done()}
        self.late.update({name: one for name, one in asked.items() if not one.done()})
        return {name: known.get(name, TOO_LATE) for name in machines}

    def _power(self, machine: str) -> Machine:
        try:
            power = self.platform.power(machine)
        except PgsteadError as error:
            return Machine(None, reason=error.message)
        return Machine(power.on, power.boot)

    def _gathered(
        self, ask: Callable[[str], T], names: Iterable[str]
    ) -> Callable[[], Mapping[str, T]]:
        """Ask about all of them at once; the answers, once they are called for."""
        asked = {name: self.pool.submit(ask, name) for name in names}
        return lambda: {name: one.result() for name, one in asked.items()}


def _asked(place: Place, target: Target, *, leads: bool) -> Member:
    """What a member says; of the leader, whether it says anything, which no query delays."""
    seconds = LEADERS_SECONDS if leads else ANSWER_SECONDS
    client = PatroniClient(place.address, place.api_port, target.patroni_tls, seconds)
    if leads:
        return Member(place.name, client.answers())
    try:
        said = client.status()
    except ClientError:
        return Member(place.name, answers=False)
    return Member(
        place.name,
        answers=True,
        running=said.state == "running",
        primary=said.role in ("primary", "master"),
        streams=said.streams,
        position=said.position,
        timeline=said.timeline or 0,
        paused=said.paused,
        failsafe=said.failsafe,
        eligible=said.eligible,
    )
