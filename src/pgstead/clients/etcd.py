"""etcd over its HTTP gateway (`/v3`, etcd 3.4 and newer).

The gateway refuses client certificates that have a common name while authentication is
on, so the operator's has none and users come by name and password.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pgstead.clients.etcd_answers import (
    Health,
    KeyValue,
    Member,
    Permission,
    Status,
    prefix_end,
)
from pgstead.clients.http import TIMEOUT, Answer, Https, Unreachable
from pgstead.errors import ClientError
from pgstead.membership import TlsClient

__all__ = [
    "EtcdClient",
    "EtcdError",
    "Health",
    "KeyValue",
    "Member",
    "Permission",
    "Status",
    "encoded",
    "prefix_end",
]

NOT_ENABLED = "authentication is not enabled"
WRONG_PASSWORD = "invalid user ID or password"  # noqa: S105 - etcd's words
OUT_OF_SPACE = "alarm NOSPACE: etcd takes no writes; `pgstead etcd defrag` frees space"
STALE_TOKEN = "invalid auth token"  # noqa: S105 - etcd's words
REVISION = "revision of auth store is old"
NO_USER = "user name is empty"
LOGIN_AGAIN = (STALE_TOKEN, REVISION, NO_USER)
"""What etcd says to a token that has aged, or to none since authentication was enabled."""


class EtcdError(ClientError):
    """etcd understood what was asked and refused it; `reason` is what it said."""

    def __init__(self, message: str, reason: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


def encoded(text: str) -> str:
    """A key or a value as the gateway takes it: in base 64."""
    return base64.b64encode(text.encode()).decode()


@dataclass(slots=True)
class EtcdClient:
    """A client of one cluster: asks the first endpoint that answers, as one user or as none.

    `endpoints` are (host, port). With a user, a token is fetched when the cluster has
    authentication on, and fetched again when it has aged.
    """

    endpoints: Sequence[tuple[str, int]]
    tls: TlsClient
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout: float = TIMEOUT
    _token: str | None = field(default=None, init=False, repr=False)

    def at(self, host: str, port: int, *, timeout: float | None = None) -> EtcdClient:
        """The same client for one endpoint alone, with the token it may have."""
        seconds = self.timeout if timeout is None else timeout
        one = EtcdClient([(host, port)], self.tls, self.user, self.password, seconds)
        one._token = self._token
        return one

    # -- health and membership ---------------------------------------------------------

    def health(self, host: str, port: int) -> Health:
        """Whether that member serves, i.e. knows a leader; a silent one does not."""
        try:
            answer = Https(host, port, self.tls, self.timeout).ask("GET", "/health")
        except Unreachable as error:
            return Health(False, error.message)
        health = Health.parse(answer)
        return health if health.ok else self._explained(host, port, health)

    def _explained(self, host: str, port: int, health: Health) -> Health:
        """The same with its alarm, which etcd 3.4 does not tell there; asked without a user."""
        with suppress(ClientError):
            status = EtcdClient([(host, port)], self.tls, timeout=self.timeout).status()
            if status.no_space and status.leader:
                return Health(False, OUT_OF_SPACE, no_space=True)
        return health

    def version(self) -> str:
        """The server's version, e.g. "3.4.23", of the endpoint that answers."""
        return str(self._ask("GET", "/version", None).json().get("etcdserver", ""))

    def cluster_version(self) -> str | None:
        """The version that all members' data has, e.g. "3.4.0"; None while they agree on none."""
        said = str(self._ask("GET", "/version", None).json().get("etcdcluster", ""))
        return said if said[:1].isdigit() else None

    def status(self) -> Status:
        """The state of the endpoint that answers: leader, raft term, version, alarms."""
        return Status.parse(self.call("/v3/maintenance/status"))

    def members(self) -> tuple[Member, ...]:
        """The members of the cluster, voters and learners."""
        answer = self.call("/v3/cluster/member/list")
        return tuple(Member.parse(member) for member in answer.get("members", ()))

    def member_add(self, peer_url: str, *, learner: bool) -> Member:
        """Announce a member; gives it with its new id and no name."""
        answer = self.call("/v3/cluster/member/add", {"peerURLs": [peer_url], "isLearner": learner})
        return Member.parse(answer["member"])

    def member_promote(self, member: int) -> None:
        """Make a learner a voter. `EtcdError` while it is not in sync with the leader."""
        self.call("/v3/cluster/member/promote", {"ID": str(member)})

    def member_remove(self, member: int) -> None:
        """Remove a member for good; its data folder can never be started again."""
        self.call("/v3/cluster/member/remove", {"ID": str(member)})

    def move_leader(self, member: int) -> None:
        """Hand the raft leadership over; to be asked at the leader."""
        self.call("/v3/maintenance/transfer-leadership", {"targetID": str(member)})

    # -- authentication ------------------------------------------------------------------

    def authentication_enabled(self) -> bool:
        """Whether users are asked for.

        etcd 3.4 has no call that tells: an attempt to log in does, whoever tries.
        """
        try:
            self._login("-", "-")
        except EtcdError as error:
            if NOT_ENABLED in error.reason:
                return False
            if WRONG_PASSWORD in error.reason:
                return True
            raise
        return True

    def accepts(self, user: str, password: str) -> bool:
        """Whether that user has that password; False also when authentication is off.

        Where it is this client's own user, the token is kept: etcd makes passwords slow.
        """
        try:
            token = self._login(user, password)
        except EtcdError as error:
            if NOT_ENABLED in error.reason or WRONG_PASSWORD in error.reason:
                return False
            raise
        if (user, password) == (self.user, self.password):
            self._token = token
        return True

    def authentication_enable(self) -> None:
        """Ask for users from now on; needs a user root with the role root."""
        self.call("/v3/auth/enable")

    def users(self) -> tuple[str, ...]:
        """The users' names."""
        return tuple(self.call("/v3/auth/user/list").get("users", ()))

    def roles(self) -> tuple[str, ...]:
        """The roles' names."""
        return tuple(self.call("/v3/auth/role/list").get("roles", ()))

    def user_roles(self, user: str) -> tuple[str, ...]:
        """The roles of a user."""
        return tuple(self.call("/v3/auth/user/get", {"name": user}).get("roles", ()))

    def user_add(self, user: str, password: str | None) -> None:
        """Add a user; without password it can log in by certificate only."""
        body = {"name": user, "password": password or ""}
        options = {"options": {"no_password": True}} if password is None else {}
        self.call("/v3/auth/user/add", {**body, **options})

    def user_change_password(self, user: str, password: str) -> None:
        """Set a password; tokens the user holds end."""
        self.call("/v3/auth/user/changepw", {"name": user, "password": password})

    def user_grant(self, user: str, role: str) -> None:
        """Give a role to a user; giving it twice is fine."""
        self.call("/v3/auth/user/grant", {"user": user, "role": role})

    def user_delete(self, user: str) -> None:
        """Remove a user."""
        self.call("/v3/auth/user/delete", {"name": user})

    def role_add(self, role: str) -> None:
        """Add a role without permissions."""
        self.call("/v3/auth/role/add", {"role": role, "name": role})

    def role_delete(self, role: str) -> None:
        """Remove a role, and take it from its users."""
        self.call("/v3/auth/role/delete", {"role": role})

    def role_grant(self, role: str, permission: Permission) -> None:
        """Let a role do that; one of another kind for the same keys is replaced."""
        given = {
            "permType": permission.kind,
            "key": encoded(permission.key),
            "range_end": encoded(permission.range_end),
        }
        self.call("/v3/auth/role/grant", {"name": role, "perm": given})

    def role_revoke(self, role: str, permission: Permission) -> None:
        """Take that permission back."""
        keys = {"key": encoded(permission.key), "range_end": encoded(permission.range_end)}
        self.call("/v3/auth/role/revoke", {"role": role, **keys})

    def role_permissions(self, role: str) -> frozenset[Permission]:
        """What a role may do; ranges that are neither a prefix nor one key are left out."""
        answer = self.call("/v3/auth/role/get", {"role": role})
        found = map(Permission.parse, answer.get("perm", ()))
        return frozenset(permission for permission in found if permission is not None)

    def role_prefixes(self, role: str) -> tuple[str, ...]:
        """The prefixes that a role may read and write, sorted; other permissions are left out."""
        found = self.role_permissions(role)
        return tuple(sorted(one.key for one in found if one == Permission(one.key)))

    # -- keys ------------------------------------------------------------------------------

    def range(self, prefix: str) -> tuple[KeyValue, ...]:
        """All keys that begin with `prefix`, with their values, as of now."""
        body = {"key": encoded(prefix), "range_end": encoded(prefix_end(prefix))}
        answer = self.call("/v3/kv/range", body)
        return tuple(KeyValue.parse(item) for item in answer.get("kvs", ()))

    def delete_prefix(self, prefix: str) -> int:
        """Delete all keys that begin with `prefix`; gives how many there were."""
        body = {"key": encoded(prefix), "range_end": encoded(prefix_end(prefix))}
        return int(self.call("/v3/kv/deleterange", body).get("deleted", 0))

    def delete_key(self, key: str) -> bool:
        """Delete that key alone; whether it was there."""
        return int(self.call("/v3/kv/deleterange", {"key": encoded(key)}).get("deleted", 0)) > 0

    # -- transport ---------------------------------------------------------------------------

    def call(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One call of the gateway, with a token where the cluster asks for one.

        Raises `EtcdError` if etcd refuses, `Unreachable` if no endpoint answers.
        """
        if self.user is not None and self._token is None:
            self._token = self._fetch_token()
        try:
            return _parsed(self._ask("POST", path, body or {}, self._token))
        except EtcdError as error:
            if self.user is None or not any(each in error.reason for each in LOGIN_AGAIN):
                raise
        self._token = self._fetch_token()
        return _parsed(self._ask("POST", path, body or {}, self._token))

    def _fetch_token(self) -> str:
        """A new token; empty while the cluster asks for none."""
        try:
            return self._login(self.user or "", self.password or "")
        except EtcdError as error:
            if NOT_ENABLED in error.reason:
                return ""
            raise

    def _login(self, user: str, password: str) -> str:
        body = {"name": user, "password": password}
        return str(_parsed(self._ask("POST", "/v3/auth/authenticate", body))["token"])

    def _ask(self, method: str, path: str, body: object, token: str | None = None) -> Answer:
        headers = {"Authorization": token} if token else {}
        failures = []
        for ask in self._servers():
            try:
                return ask(method, path, body, headers=headers)
            except Unreachable as error:
                failures.append(error.message)
        raise Unreachable(
            "etcd does not answer: " + "; ".join(failures),
            hint="see `pgstead status` and the members' logs",
        )

    def _servers(self) -> Iterator[Callable[..., Answer]]:
        for host, port in self.endpoints:
            yield Https(host, port, self.tls, self.timeout).ask


def _parsed(answer: Answer) -> dict[str, Any]:
    """The body of a good answer; etcd's refusals become `EtcdError`."""
    if answer.ok:
        parsed = answer.json()
        return parsed if isinstance(parsed, dict) else {}
    try:
        said = answer.json()
        reason = str(said.get("error") or said.get("message") or answer.text)
    except (ClientError, AttributeError):
        reason = answer.text.strip()[:300]
    raise EtcdError(f"{answer.asked}: etcd says: {reason}", reason)
