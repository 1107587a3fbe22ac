"""Patroni's REST API, with a client certificate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pgstead.clients.http import TIMEOUT, Https, Unreachable
from pgstead.errors import ClientError
from pgstead.membership import TlsClient

LEADER = ("leader", "standby_leader")
SYNCHRONOUS = ("sync_standby", "quorum_standby")


@dataclass(frozen=True, slots=True)
class ClusterMember:
    """A member as the cluster sees it.

    `role` is leader, standby_leader, sync_standby, quorum_standby or replica; `state` is
    running, streaming, starting, stopped, ...; `lag` is bytes, None where unknown or for
    the leader. `pending` tells the settings that wait for a restart: name -> (old, new).
    """

    name: str
    role: str
    state: str
    host: str = ""
    port: int = 0
    timeline: int | None = None
    lag: int | None = None
    tags: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    pending_restart: bool = False
    pending: Mapping[str, tuple[str, str]] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def is_leader(self) -> bool:
        """Whether it holds the leader's lock."""
        return self.role in LEADER

    @property
    def is_synchronous(self) -> bool:
        """Whether commits may wait for it."""
        return self.role in SYNCHRONOUS

    @property
    def serves(self) -> bool:
        """Whether it runs: a leader, or a standby that streams."""
        return self.state == "running" if self.is_leader else self.state == "streaming"

    @classmethod
    def parse(cls, said: Mapping[str, Any]) -> ClusterMember:
        """From an element of `members` in `/cluster`."""
        lag = said.get("lag")
        return cls(
            str(said["name"]),
            str(said.get("role", "")),
            str(said.get("state", "")),
            str(said.get("host", "")),
            int(said.get("port", 0)),
            said.get("timeline"),
            lag if isinstance(lag, int) else None,
            dict(said.get("tags") or {}),
            bool(said.get("pending_restart", False)),
            _pending(said.get("pending_restart_reason") or {}),
        )


@dataclass(frozen=True, slots=True)
class ClusterView:
    """The cluster as one member reports it."""

    scope: str
    members: tuple[ClusterMember, ...]
    paused: bool = False

    @property
    def leader(self) -> ClusterMember | None:
        """The member that holds the leader's lock."""
        return next((member for member in self.members if member.is_leader), None)

    def member(self, name: str) -> ClusterMember | None:
        """The member of that name."""
        return next((member for member in self.members if member.name == name), None)

    @classmethod
    def parse(cls, said: Mapping[str, Any]) -> ClusterView:
        """From `/cluster`."""
        members = tuple(ClusterMember.parse(member) for member in said.get("members", ()))
        return cls(str(said.get("scope", "")), members, bool(said.get("pause", False)))


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """What a member says of itself. `dcs_last_seen` is its own clock's seconds.

    A standby `streams` while it receives WAL, and `position` is how much it has, in bytes.
    `failsafe` is whether failsafe mode is active; `eligible` whether it may ever lead.
    """

    state: str
    role: str
    version: str
    timeline: int | None = None
    server_version: int | None = None
    pending_restart: bool = False
    pending: Mapping[str, tuple[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    paused: bool = False
    dcs_last_seen: int = 0
    streams: bool = False
    position: int = 0
    failsafe: bool = False
    eligible: bool = True

    @classmethod
    def parse(cls, said: Mapping[str, Any]) -> NodeStatus:
        """From `/patroni`."""
        return cls(
            str(said.get("state", "")),
            str(said.get("role", "")),
            str(said.get("patroni", {}).get("version", "")),
            said.get("timeline"),
            said.get("server_version"),
            bool(said.get("pending_restart", False)),
            _pending(said.get("pending_restart_reason") or {}),
            bool(said.get("pause", False)),
            int(said.get("dcs_last_seen", 0)),
            said.get("replication_state") == "streaming",
            _position(said.get("xlog") or {}),
            bool(said.get("failsafe_mode_is_active", False)),
            not ((said.get("tags") or {}).get("nofailover") or said.get("watchdog_failed")),
        )


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """The start of a timeline; `leader` is empty where an older Patroni wrote it."""

    timeline: int
    lsn: int
    reason: str
    at: str = ""
    leader: str = ""

    @classmethod
    def parse(cls, said: list[Any]) -> HistoryEntry:
        """From a line of `/history`."""
        at, leader = [*said[3:5], "", ""][:2]
        return cls(int(said[0]), int(said[1]), str(said[2]), str(at), str(leader))


@dataclass(frozen=True, slots=True)
class PatroniClient:
    """The API of one member."""

    host: str
    port: int
    tls: TlsClient
    timeout: float = TIMEOUT

    def cluster(self) -> ClusterView:
        """All members with role, state and lag, read from etcd now."""
        return ClusterView.parse(self._json("GET", "/cluster"))

    def status(self) -> NodeStatus:
        """What the member says of itself."""
        return NodeStatus.parse(self._json("GET", "/patroni"))

    def alive(self) -> bool:
        """Whether Patroni's own loop runs."""
        return self._yes("/liveness")

    def ready(self) -> bool:
        """Whether it leads, or streams without undue lag."""
        return self._yes("/readiness")

    def answers(self) -> bool:
        """Whether anything comes back at all, whatever it says."""
        try:
            self._https().ask("GET", "/liveness")
        except Unreachable:
            return False
        return True

    def leads(self) -> bool:
        """Whether it is the primary and holds the lock."""
        return self._yes("/primary")

    def config(self) -> dict[str, Any]:
        """The dynamic configuration."""
        return dict(self._json("GET", "/config"))

    def patch_config(self, patch: Mapping[str, Any]) -> dict[str, Any]:
        """Merge `patch` into the dynamic configuration (None removes a key); gives all of it.

        Every member takes it up by itself; one that is asked does so at once.
        """
        return dict(self._json("PATCH", "/config", dict(patch)))

    def history(self) -> tuple[HistoryEntry, ...]:
        """The timelines' beginnings."""
        return tuple(HistoryEntry.parse(line) for line in self._json("GET", "/history"))

    def reload(self) -> None:
        """Have it read its file and certificates again."""
        self._done("POST", "/reload", {})

    def restart(self, *, timeout: int = 60, only_pending: bool = False) -> None:
        """Restart this member's PostgreSQL, where only_pending only if a setting waits for it.

        Returns when it accepts connections. `timeout` seconds after which Patroni gives
        up; it is always sent, since a `primary_start_timeout` of 0 would else count.
        """
        filters = {"restart_pending": True} if only_pending else {}
        self._done("POST", "/restart", {"timeout": timeout, **filters}, timeout=timeout + 30.0)

    def switchover(self, leader: str, candidate: str | None = None) -> str:
        """Hand leadership from `leader` to `candidate`; gives Patroni's words.

        Raises `ClientError` if it is not possible, or did not happen. Patroni itself
        waits for the new leader for twice `loop_wait`, at least 20 s.
        """
        body = {"leader": leader, **({"candidate": candidate} if candidate else {})}
        return self._done("POST", "/switchover", body, timeout=90.0)

    def reinitialize(self) -> None:
        """Have a standby throw its data away and copy the leader's."""
        self._done("POST", "/reinitialize", {"force": True})

    def _https(self) -> Https:
        return Https(self.host, self.port, self.tls, self.timeout)

    def _json(self, method: str, path: str, body: object = None) -> Any:
        answer = self._https().ask(method, path, body)
        if not answer.ok:
            raise answer.error()
        return answer.json()

    def _done(self, method: str, path: str, body: object, *, timeout: float | None = None) -> str:
        answer = self._https().ask(method, path, body, timeout=timeout)
        if not answer.ok:
            raise answer.error("refused with status")
        return answer.text.strip()

    def _yes(self, path: str) -> bool:
        try:
            return self._https().ask("GET", path).ok
        except Unreachable:
            return False


def _position(said: Mapping[str, Any]) -> int:
    """How far a standby is, as Patroni counts it in an election."""
    return max(int(said.get(key) or 0) for key in ("received_location", "replayed_location"))


def _pending(said: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    try:
        return {
            name: (str(change.get("old_value")), str(change.get("new_value")))
            for name, change in said.items()
        }
    except AttributeError:
        raise ClientError(
            f"Patroni's pending_restart_reason has an unknown shape: {said}"
        ) from None
