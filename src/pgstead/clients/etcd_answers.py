"""What etcd answers, parsed."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pgstead.clients.http import Answer
from pgstead.errors import ClientError

NO_SPACE = "NOSPACE"
"""The alarm of a member whose data has grown to its quota: the cluster takes no writes."""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a member is well, and if not, why; one without space answers all the same."""

    ok: bool
    reason: str = ""
    no_space: bool = False

    @property
    def serves(self) -> bool:
        """Whether it knows a leader: it is well, or lacks nothing but space."""
        return self.ok or self.no_space

    @classmethod
    def parse(cls, answer: Answer) -> Health:
        """From `/health`: `{"health": "true"}`, on 3.5 with a reason."""
        try:
            said = answer.json()
        except ClientError as error:
            return cls(False, error.message)
        ok = answer.ok and str(said.get("health", "")).lower() == "true"
        return cls(ok, "" if ok else f"{answer.asked}: {said.get('reason') or answer.text[:200]}")


@dataclass(frozen=True, slots=True)
class Member:
    """A member as the cluster knows it. One that never started has no client URLs."""

    id: int
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...] = ()
    is_learner: bool = False

    @property
    def started(self) -> bool:
        """Whether it has ever joined and told its client URLs."""
        return bool(self.client_urls)

    @classmethod
    def parse(cls, said: Mapping[str, Any]) -> Member:
        """From an element of `members`; what is empty or false is left out there."""
        return cls(
            int(said.get("ID", 0)),
            str(said.get("name", "")),
            tuple(said.get("peerURLs", ())),
            tuple(said.get("clientURLs", ())),
            bool(said.get("isLearner", False)),
        )


@dataclass(frozen=True, slots=True)
class Status:
    """The state of one member. `leader` and `member` are ids.

    `database_bytes` is the size of its file, `used_bytes` what of it is not free; `revision`
    is the last change of a key that it knows of.
    """

    version: str
    member: int
    leader: int
    raft_term: int
    raft_index: int
    database_bytes: int
    is_learner: bool = False
    errors: tuple[str, ...] = ()
    used_bytes: int = 0
    revision: int = 0

    @property
    def no_space(self) -> bool:
        """Whether a member of the cluster has raised the alarm that it lacks space."""
        return any(NO_SPACE in error for error in self.errors)

    @classmethod
    def parse(cls, said: Mapping[str, Any]) -> Status:
        """From `/v3/maintenance/status`; numbers come as strings."""
        return cls(
            str(said.get("version", "")),
            int(said.get("header", {}).get("member_id", 0)),
            int(said.get("leader", 0)),
            int(said.get("raftTerm", 0)),
            int(said.get("raftIndex", 0)),
            int(said.get("dbSize", 0)),
            bool(said.get("isLearner", False)),
            tuple(said.get("errors", ())),
            int(said.get("dbSizeInUse", 0)),
            int(said.get("header", {}).get("revision", 0)),
        )


@dataclass(frozen=True, slots=True)
class KeyValue:
    """A key, its value, the revision that changed it last, and its lease (0: none)."""

    key: str
    value: str
    revision: int
    lease: int = 0

    @classmethod
    def parse(cls, said: Mapping[str, Any]) -> KeyValue:
        """From an element of `kvs`."""
        return cls(
            base64.b64decode(said.get("key", "")).decode(errors="replace"),
            base64.b64decode(said.get("value", "")).decode(errors="replace"),
            int(said.get("mod_revision", 0)),
            int(said.get("lease", 0)),
        )


@dataclass(frozen=True, slots=True)
class Permission:
    """What a role may do with the keys that begin with `key`, or if `exact`, with that one.

    `kind` is READ, WRITE or READWRITE, as etcd writes it.
    """

    key: str
    kind: str = "READWRITE"
    exact: bool = False

    @property
    def range_end(self) -> str:
        """The end of its range as etcd writes it: empty for one key."""
        return "" if self.exact else prefix_end(self.key)

    @classmethod
    def parse(cls, said: Mapping[str, Any]) -> Permission | None:
        """From an element of `perm`; None for a range that is neither a prefix nor one key."""
        key = base64.b64decode(said.get("key", "")).decode(errors="replace")
        end = base64.b64decode(said.get("range_end", "")).decode(errors="replace")
        if not key or end not in ("", prefix_end(key)):
            return None
        return cls(key, str(said.get("permType", "READ")), exact=not end)  # READ is etcd's zero


def prefix_end(prefix: str) -> str:
    """The end of the range of all keys that begin with `prefix` (ASCII, not empty)."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
