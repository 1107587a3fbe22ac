"""Etcd, Patroni and machines, small enough to try everything: a model for the sentinel's tests.

Time is in whole seconds, and moves only when it is told to. What the model knows and the sentinel
may get wrong is who takes writes: `writers`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pgstead.errors import PlatformError, Refused
from pgstead.sentinel.observation import (
    Dcs,
    LeaderKey,
    Lease,
    Machine,
    Member,
    Mode,
    Seen,
    Sync,
)
from pgstead.sentinel.steps import Act, Forget, Note, PowerOff, Start, TakeKey

TTL = 20
RECEIVER_SECONDS = 5  # longer than by default: so is it seen to be waited for
REST = 10
NAMES = ("a", "b", "c")


@dataclass
class Server:
    """A machine with its Patroni and PostgreSQL. `heard` is when it last received WAL."""

    name: str
    on: bool = True
    boots: int = 1
    frozen: bool = False
    primary: bool = False
    session: int = 0
    heard: int = 0
    cut_off: bool = False  # from etcd: its Patroni goes on in failsafe mode
    unseen: bool = False  # its platform cannot tell of it
    deaf: bool = False  # its API does not answer, although it lives
    paced: bool = True  # its Patroni renews the lease in time

    @property
    def boot(self) -> str:
        return f"{self.name}-boot-{self.boots}"

    @property
    def lives(self) -> bool:
        return self.on and not self.frozen

    @property
    def writes(self) -> bool:
        return self.lives and self.primary


@dataclass
class World:
    """Everything there is. `acting` may be anybody's name."""

    now: int = 100
    servers: dict[str, Server] = field(default_factory=lambda: {n: Server(n) for n in NAMES})
    leader: LeaderKey | None = None
    renewed: int = 100
    revision: int = 1
    sessions: int = 0
    quorum: bool = True
    paused: bool = False
    held: str = ""
    acting: str = "me"
    rests_until: int = 0
    fenced: dict[str, str] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    wronged: list[str] = field(default_factory=list)  # whose key was taken while they ran

    def __post_init__(self) -> None:
        self._acquire(self.servers["a"])
        self._stream()

    # -- what happens by itself ----------------------------------------------------------

    def second(self) -> None:
        """A second passes: leases are renewed or end, Patroni's loops run once."""
        self.now += 1
        self.settle()
        if self.leader and self.now - self.renewed >= TTL:
            self._expire()
        self._stream()

    def settle(self) -> None:
        """Patroni's loops run: the leader renews, one without the key demotes, another wins."""
        for server in self.servers.values():
            if server.lives and self.quorum and not server.cut_off:
                self._loop(server)

    def _loop(self, server: Server) -> None:
        mine = self.leader is not None and self.leader.member == server.name
        if mine and self.leader and self.leader.lease == server.session and server.paced:
            self.renewed = self.now
        elif mine and self.leader and self.leader.lease != server.session:
            self._acquire(server)  # it was started anew: it writes the key before it leads
        elif not mine and server.primary:
            server.primary = False
        elif self.leader is None and not self.paused and self._may_win(server):
            self._acquire(server)

    def _may_win(self, server: Server) -> bool:
        """With three in quorum mode: one other voter must be seen, and no primary that answers.

        A leader that goes on in failsafe mode keeps the others from racing.
        """
        others = [one for one in self.servers.values() if one is not server and one.lives]
        answering = [one for one in others if not one.deaf]
        primary = any(one.primary for one in answering)
        return bool(answering) and not primary and not self.failsafe()

    def failsafe(self) -> bool:
        return any(one.cut_off and one.writes for one in self.servers.values())

    def _acquire(self, server: Server) -> None:
        self.sessions += 1
        self.revision += 1
        server.session, server.primary = self.sessions, True
        self.leader = LeaderKey(server.name, self.revision, server.session)
        self.renewed = self.now

    def _expire(self) -> None:
        """The lease ends. A leader that may not go on has demoted before: Patroni sees to it."""
        assert self.leader is not None
        old = self.servers[self.leader.member]
        if not (old.cut_off and old.writes):
            old.primary = False  # also when frozen: its watchdog, or its first thought when thawed
        self.leader = None

    def _stream(self) -> None:
        source = next((one for one in self.servers.values() if one.writes), None)
        for server in self.servers.values():
            if source and server is not source and server.lives:
                server.heard = self.now

    # -- what is done to it ----------------------------------------------------------------

    def thaw(self, name: str) -> None:
        self.servers[name].frozen = False
        self._stream()

    def power_off(self, name: str) -> None:
        server = self.servers[name]
        server.on = server.frozen = server.primary = server.deaf = False
        server.paced = True

    def start(self, name: str) -> None:
        server = self.servers[name]
        if not server.on:
            server.on, server.session, server.primary = True, 0, False
            server.boots += 1

    # -- what a sentinel sees ------------------------------------------------------------------

    def etcd(self) -> Dcs | None:
        if not self.quorum:
            return None
        return Dcs(
            leader=self.leader,
            lease=Lease(TTL - (self.now - self.renewed), TTL) if self.leader else None,
            sync=Sync("a", ("b", "c"), 1),
            mode=Mode.QUORUM,
            paused=self.paused,
            timeline=1,
            loop_wait=1,
            acting=self.acting,
            resting=self.now < self.rests_until,
            fenced=dict(self.fenced),
        )

    def machines(self) -> dict[str, Machine]:
        return {name: self._machine(one) for name, one in self.servers.items()}

    def _machine(self, server: Server) -> Machine:
        if server.unseen:
            return Machine(None, reason="its host does not answer")
        return Machine(server.on, server.boot if server.on else "")

    def members(self) -> dict[str, Member]:
        return {name: self._member(one) for name, one in self.servers.items()}

    def _member(self, server: Server) -> Member:
        if not server.lives or server.deaf:
            return Member(server.name, answers=False)
        fresh = self.now - server.heard < RECEIVER_SECONDS
        return Member(
            server.name,
            answers=True,
            running=True,
            primary=server.primary,
            streams=fresh and not server.primary,
            position=100,
            timeline=1,
            failsafe=self.failsafe(),
        )

    def seen(self, dcs: Dcs | None, at: float) -> Seen:
        """A look whose etcd was read at `at`, and whose rest is as of now."""
        return Seen(
            at=at,
            until=self.now,
            dcs=dcs,
            machines=self.machines() if dcs else {},
            members=self.members() if dcs else None,
            machine_of={name: name for name in NAMES},
            held=self.held,
        )

    def look(self, closely: bool) -> Seen:  # noqa: FBT001 - `decision.Look`
        """All of it at one instant."""
        del closely
        return self.seen(self.etcd(), self.now)

    # -- what a sentinel does --------------------------------------------------------------------

    def act(self, step: Act, me: str = "me") -> None:
        """As `acting.Hands`, with etcd's guards: raises what those raise."""
        if isinstance(step, PowerOff):
            self._power_off_boot(step.machine, step.boot)
        elif isinstance(step, Start):
            self.start(step.machine)
        else:
            self._in_etcd(step, me)

    def _power_off_boot(self, name: str, boot: str) -> None:
        server = self.servers[name]
        if server.unseen:
            raise PlatformError(f"{name} cannot be reached")
        if server.on and server.boot != boot:
            raise Refused(f"{name} is not at boot {boot}")
        self.power_off(name)

    def _in_etcd(self, step: Note | TakeKey | Forget, me: str) -> None:
        if not self.quorum or self.acting != me:
            raise Refused("etcd refused")
        if isinstance(step, Note):
            self.fenced[step.machine] = step.boot
        elif isinstance(step, Forget):
            self.fenced.pop(step.machine, None)
        else:
            self._take(step)

    def _take(self, step: TakeKey) -> None:
        if self.machines()[step.machine].on is not False:
            raise Refused(f"{step.machine} is not off")
        if step.key != self.leader:
            raise Refused("the key is another one by now")
        holder = self.servers[step.key.member]
        if holder.on and holder.session == step.key.lease:
            self.wronged.append(holder.name)
        self.deleted.append(step.key.member)
        self.leader = None
        self.rests_until = self.now + REST

    # -- what must never be ------------------------------------------------------------------------

    def writers(self) -> list[str]:
        return [one.name for one in self.servers.values() if one.writes]
