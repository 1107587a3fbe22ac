"""The resource `etcd.<cluster>`: authentication, users and what they may do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from pgstead.clients.etcd import EtcdClient
from pgstead.clients.http import Unreachable
from pgstead.clusters import etcd_roles
from pgstead.clusters.deciding import together
from pgstead.clusters.etcd_view import Previous, as_root, serving, user_key
from pgstead.clusters.groups import ROOT, EtcdCluster, administrator
from pgstead.clusters.resident import Resident
from pgstead.engine.resource import (
    Attribute,
    Observed,
    Present,
    Recorded,
    Resource,
    Step,
    Steps,
    Unknown,
    Value,
)
from pgstead.errors import ClientError
from pgstead.machine import OnChange
from pgstead.membership import EtcdAccess, EtcdUser
from pgstead.platforms.base import Digest
from pgstead.waiting import wait

KIND = "etcd"
AUTHENTICATION = "authentication"
OTHER = "unknown to pgstead"
HEALTHY_SECONDS = 60.0


def lower(cluster: EtcdCluster, digest: Digest) -> Resource | None:
    """The cluster's resource; None if no member says anything about authentication.

    Where nobody there has root's role and a password, just the authentication itself is
    compared: the gateway refuses certificates of users.
    """
    access = cluster.access
    if access is None:
        return None
    return Resource(
        cluster.address,
        KIND,
        dict(_attributes(access, digest)),
        tuple(f"machine.{name}" for name in cluster.members),
        place={"cluster_name": cluster.name},
        body=cluster,
    )


def _attributes(access: EtcdAccess, digest: Digest) -> Iterator[tuple[str, Attribute]]:
    yield AUTHENTICATION, Attribute("on", OnChange.RELOAD, "authentication")
    if administrator(access) is None:
        return
    for name, password in _passwords(access).items():
        label = f"password of etcd user {name}"
        yield user_key(name), Attribute(digest(password), OnChange.RELOAD, label, hidden=True)
    for user in access.users:
        label = f"prefixes of etcd user {user.name}"
        yield (
            f"prefixes:{user.name}",
            Attribute(etcd_roles.text(etcd_roles.permissions(user)), OnChange.RELOAD, label),
        )


def _passwords(access: EtcdAccess) -> dict[str, str]:
    """Users and their passwords, the administrator last: it is needed for all the others."""
    users = {user.name: user.password for user in access.users}
    admin = administrator(access)
    return users if admin is None else {**users, admin[0]: admin[1]}


def passwords(cluster: EtcdCluster) -> dict[str, str]:
    """The users' passwords by attribute key."""
    if cluster.access is None:
        return {}
    return {user_key(name): password for name, password in _passwords(cluster.access).items()}


class EtcdProvider(Resident):
    """Implements `engine.resource.Provider` for `etcd` resources: users and authentication."""

    def __init__(
        self,
        clusters: Mapping[str, EtcdCluster],
        digest: Digest,
        *,
        recorded: Mapping[str, Recorded],
        previous: Previous,
    ) -> None:
        super().__init__(recorded)
        self.clusters = {cluster.address: cluster for cluster in clusters.values()}
        self.digest, self.previous = digest, previous

    def _observe(self, address: str) -> Observed:
        cluster = self.clusters.get(address)
        if cluster is None or cluster.access is None:
            return Present({})
        try:
            return Present(dict(self._seen(cluster, cluster.access)))
        except Unreachable as error:
            return Unknown(error.message) if self._was_made(address) else None
        except ClientError as error:
            return Unknown(error.message)

    def _seen(
        self, cluster: EtcdCluster, access: EtcdAccess
    ) -> Iterator[tuple[str, Value | Unknown]]:
        client = serving(cluster)
        enabled = client.authentication_enabled()
        yield AUTHENTICATION, "on" if enabled else "off"
        admin = administrator(access)
        if admin is None or not enabled:
            return
        seen = partial(self._password_seen, cluster, client)
        users = {user.name: user for user in access.users}
        with ThreadPoolExecutor(1) as pool:  # etcd makes passwords slow: all at the same time
            asked = pool.submit(as_root, cluster, self.previous, endpoints=client.endpoints)
            found = together(seen, {user_key(name): user for name, user in users.items()})
            root = asked.result()
        yield from found.items()
        yield user_key(admin[0]), self.digest(root.password or "")
        yield from self._prefixes_seen(root, access)

    def _password_seen(self, cluster: EtcdCluster, client: EtcdClient, user: EtcdUser) -> Value:
        """A digest of the password that works, of the wanted one and earlier ones."""
        earlier = self.previous(f"{cluster.address}/{user_key(user.name)}")
        for password in dict.fromkeys((user.password, *earlier)):
            if client.accepts(user.name, password):
                return self.digest(password)
        return OTHER

    def _prefixes_seen(
        self, root: EtcdClient, access: EtcdAccess
    ) -> Iterator[tuple[str, Value | Unknown]]:
        users, roles = root.users(), root.roles()
        for user in access.users:
            there = user.name in users and user.name in roles
            granted = there and user.name in root.user_roles(user.name)
            text = etcd_roles.text(root.role_permissions(user.name)) if granted else None
            yield f"prefixes:{user.name}", text

    def create(self, resource: Resource, *, recorded: Recorded | None) -> Steps:
        """Make users, then turn authentication on."""
        del recorded
        yield from self._steps(resource)

    def update(self, resource: Resource, changed: Mapping[str, OnChange]) -> Steps:
        """The same: what is right already is left alone."""
        del changed
        yield from self._steps(resource)

    def _steps(self, resource: Resource) -> Steps:
        cluster = self.clusters[resource.address]
        access = cluster.access
        if access is None:
            return
        yield Step(f"wait for etcd cluster {cluster.name}", partial(_wait_healthy, cluster))
        yield Step(
            f"users and authentication of etcd cluster {cluster.name}",
            lambda: converge(cluster, access, self.previous),
        )


def _wait_healthy(cluster: EtcdCluster) -> None:
    client = cluster.client()
    reasons: list[str] = []

    def ready() -> bool:
        for member in cluster.members.values():
            health = client.health(member.address, member.client_port)
            if health.serves:
                return True
            reasons[:] = [health.reason]
        return False

    wait(
        ready,
        deadline=HEALTHY_SECONDS,
        what=f"a member of etcd cluster {cluster.name} that serves",
        error=lambda: reasons[0] if reasons else None,
    )


def converge(cluster: EtcdCluster, access: EtcdAccess, previous: Previous) -> None:
    """Bring users, roles and authentication to what they should be; safe to repeat."""
    admin = administrator(access)
    client = cluster.client() if admin is None else as_root(cluster, previous)
    enabled = client.authentication_enabled()
    if enabled and admin is None:
        return
    users = client.users()
    if ROOT not in users:
        client.user_add(ROOT, access.root_password)
    if ROOT not in client.roles():
        client.role_add(ROOT)
    client.user_grant(ROOT, ROOT)
    if admin is not None and admin[0] != ROOT:
        if admin[0] not in users:
            client.user_add(*admin)
        client.user_grant(admin[0], ROOT)
    for user in access.users:
        _ensure_user(client, user.name, user.password, present=user.name in users)
        etcd_roles.ensure(client, user.name, etcd_roles.permissions(user))
    if not enabled:
        _ensure_own_password(client, admin, existed=admin is not None and admin[0] in users)
        client.authentication_enable()
        return
    if admin is not None and client.password != admin[1]:
        _ensure_own_password(client, admin, existed=True)


def _ensure_user(client: EtcdClient, name: str, password: str, *, present: bool) -> None:
    if not present:
        client.user_add(name, password)
    elif not client.accepts(name, password):
        client.user_change_password(name, password)


def _ensure_own_password(
    client: EtcdClient, admin: tuple[str, str] | None, *, existed: bool
) -> None:
    """The administrator's password comes last: with it the old one ends."""
    if admin is not None and existed:
        client.user_change_password(*admin)
        client.password = admin[1]
