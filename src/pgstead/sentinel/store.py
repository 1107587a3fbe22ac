"""Etcd as the sentinel uses it: one read of everything, and transactions that guard each write.

Its own keys lie below `/pgstead/sentinel/<scope>/`: `acting` (the sentinel that may act, on its
lease), `resting` (on a lease of the time of rest), and `fenced/<machine>`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pgstead.clients.etcd import EtcdClient, KeyValue, encoded, prefix_end
from pgstead.clients.http import Https, KeptHttps
from pgstead.errors import ClientError
from pgstead.sentinel import keys
from pgstead.sentinel.observation import Dcs, LeaderKey, Lease
from pgstead.sentinel.target import USER, Target

ACTING_SECONDS = 10
"""How long a sentinel that is gone keeps the others from acting."""

TIMEOUT = 1.0
"""Seconds for an etcd member to answer; one that did not is asked last from then on."""


@dataclass(slots=True)
class LastingEtcd(EtcdClient):
    """A client that keeps its connections, and asks the member first that answered last."""

    _kept: dict[tuple[str, int], KeptHttps] = field(default_factory=dict, init=False, repr=False)

    def _servers(self) -> Iterator[Callable[..., Any]]:
        for endpoint in tuple(self.endpoints):
            if endpoint not in self._kept:
                self._kept[endpoint] = KeptHttps(Https(*endpoint, self.tls, self.timeout))
            yield self._kept[endpoint].ask
            others = [one for one in self.endpoints if one != endpoint]
            self.endpoints = [*others, endpoint]  # asked for another: this one did not answer

    def close(self) -> None:
        """Close all connections."""
        for kept in self._kept.values():
            kept.close()


@dataclass(slots=True)
class Store:
    """The keys of one cluster, as the sentinel named `me`. Raises `ClientError` if etcd fails."""

    target: Target
    me: str
    client: LastingEtcd = field(init=False)
    _lease: int = field(default=0, init=False)
    _renewed: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        target = self.target
        self.client = LastingEtcd(
            target.endpoints, target.etcd_tls, USER, target.password, timeout=TIMEOUT
        )

    @property
    def own(self) -> str:
        """The prefix of the sentinel's own keys."""
        return f"/pgstead/sentinel/{self.target.scope}/"

    def read(self) -> Dcs:
        """Everything at one revision, through etcd's quorum, and then the lease's time."""
        patroni, own = (self._values(part) for part in self._ranges())
        dcs = keys.parse(patroni, own)
        lease = self._time_of(dcs.leader) if dcs.leader else None
        return keys.with_lease(dcs, lease)

    def campaign(self, acting: str) -> None:
        """Become the one that acts if nobody does; stay it by renewing the lease."""
        now = time.monotonic()
        if acting and acting != self.me:
            return
        if acting == self.me:
            if now - self._renewed >= ACTING_SECONDS / 3:
                self.client.call("/v3/lease/keepalive", {"ID": str(self._lease)})
                self._renewed = now
            return
        self._lease = self._grant(ACTING_SECONDS)
        self._renewed = now
        absent = {"key": encoded(f"{self.own}acting"), "target": "CREATE", "create_revision": "0"}
        self._transaction([absent], [self._put("acting", self.me, self._lease)])

    def note(self, machine: str, boot: str) -> bool:
        """Write down that a machine is taken on; whether this sentinel might still act."""
        return self._transaction([self._guard()], [self._put(f"fenced/{machine}", boot)])

    def forget(self, machine: str) -> bool:
        """Remove that again."""
        request = {"request_delete_range": {"key": encoded(f"{self.own}fenced/{machine}")}}
        return self._transaction([self._guard()], [request])

    def take(self, key: LeaderKey, rest: int) -> bool:
        """Delete the leader's key and begin `rest` seconds of rest, both or neither.

        Only if the key is the very one that was judged, and this sentinel may still act.
        """
        leader = f"{self.target.prefix}leader"
        lease = self._grant(rest)
        done = self._transaction(
            [self._guard(), *_is(leader, key)],
            [
                {"request_delete_range": {"key": encoded(leader)}},
                self._put("resting", self.me, lease),
            ],
        )
        if not done:
            self.client.call("/v3/lease/revoke", {"ID": str(lease)})
        return done

    def resign(self) -> None:
        """Let another sentinel act at once."""
        if self._lease:
            self.client.call("/v3/lease/revoke", {"ID": str(self._lease)})

    def _ranges(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        requests = [
            {"request_range": {"key": encoded(prefix), "range_end": encoded(prefix_end(prefix))}}
            for prefix in (self.target.prefix, self.own)
        ]
        answer = self.client.call("/v3/kv/txn", {"success": requests})
        first, second = (one.get("response_range", {}) for one in answer["responses"])
        return first, second

    def _values(self, part: Mapping[str, Any]) -> dict[str, KeyValue]:
        """Keys without their prefix."""
        found = (KeyValue.parse(item) for item in part.get("kvs", ()))
        prefixes = (self.target.prefix, self.own)
        return {_without(one.key, prefixes): one for one in found}

    def _time_of(self, key: LeaderKey) -> Lease | None:
        answer = self.client.call("/v3/lease/timetolive", {"ID": str(key.lease)})
        granted = int(answer.get("grantedTTL", 0))
        return Lease(int(answer.get("TTL", 0)), granted) if granted else None

    def _grant(self, seconds: int) -> int:
        return int(self.client.call("/v3/lease/grant", {"TTL": str(seconds)})["ID"])

    def _guard(self) -> dict[str, str]:
        """Holds while this sentinel is the one that may act."""
        return {
            "key": encoded(f"{self.own}acting"),
            "target": "VALUE",
            "value": encoded(self.me),
        }

    def _put(self, name: str, value: str, lease: int = 0) -> dict[str, Any]:
        put = {"key": encoded(f"{self.own}{name}"), "value": encoded(value), "lease": str(lease)}
        return {"request_put": put}

    def _transaction(
        self, compare: Sequence[Mapping[str, Any]], success: Sequence[Mapping[str, Any]]
    ) -> bool:
        answer = self.client.call("/v3/kv/txn", {"compare": compare, "success": success})
        return bool(answer.get("succeeded", False))


def _is(path: str, key: LeaderKey) -> list[dict[str, str]]:
    """Comparisons that hold for the very key that was judged."""
    name = encoded(path)
    return [
        {"key": name, "target": "VALUE", "value": encoded(key.member)},
        {"key": name, "target": "MOD", "mod_revision": str(key.revision)},
        {"key": name, "target": "LEASE", "lease": str(key.lease)},
    ]


def _without(key: str, prefixes: Sequence[str]) -> str:
    for prefix in prefixes:
        if key.startswith(prefix):
            return key.removeprefix(prefix)
    raise ClientError(f"etcd gave a key that was not asked for: {key}")
