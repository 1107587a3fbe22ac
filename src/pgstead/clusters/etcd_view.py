"""Looking at an etcd cluster: who is listed, and who serves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from pgstead.clients.etcd import EtcdClient, EtcdError, Health, Member
from pgstead.clients.http import Unreachable
from pgstead.clusters.deciding import together
from pgstead.clusters.etcd_membership import Seat, View
from pgstead.clusters.groups import ROOT, EtcdCluster
from pgstead.errors import ClientError
from pgstead.membership import EtcdMember

Previous = Callable[[str], tuple[str, ...]]
"""Passwords that servers may still have, newest first, by `<resource address>/<attribute key>`."""


def peer_url(member: EtcdMember) -> str:
    """The address at which other members reach it."""
    return f"https://{member.address}:{member.peer_port}"


def user_key(user: str) -> str:
    """The attribute that stands for a user's password."""
    return f"user:{user}"


def look(cluster: EtcdCluster) -> View | None:
    """The cluster as its members tell it, or None if none of those given answers.

    etcd 3.4 lists members without asking the others: one that serves, and so has just
    agreed with its leader, is asked before one that does not.
    """
    if not cluster.members:
        return None
    client = cluster.client()
    asked = {name: (m.address, m.client_port) for name, m in cluster.members.items()}
    health = together(lambda at: client.health(*at), asked)
    endpoints = sorted(asked, key=lambda name: not health[name].ok)
    for name in endpoints:
        one = EtcdClient([asked[name]], client.tls)
        try:
            members, version = one.members(), one.version()
        except ClientError:
            continue
        known = {asked[name]: health[name] for name in asked}
        return View(_seats(client, members, known), version)
    return None


def _seats(
    client: EtcdClient, members: tuple[Member, ...], known: dict[tuple[str, int], Health]
) -> tuple[Seat, ...]:
    places = {str(member.id): _place(member) for member in members}
    others = {k: at for k, at in places.items() if at is not None and at not in known}
    found = together(lambda at: client.health(*at), others)

    def healthy(member: Member) -> bool:
        at = places[str(member.id)]
        if at is None:
            return False
        return (known.get(at) or found.get(str(member.id)) or Health(False)).ok

    return tuple(
        Seat(m.id, m.name, m.peer_urls[0], m.started, m.is_learner, healthy(m))
        for m in sorted(members, key=lambda member: (member.name, member.id))
        if m.peer_urls
    )


def _place(member: Member) -> tuple[str, int] | None:
    """Where a member listens for clients; None for one that never started."""
    if not member.client_urls:
        return None
    parts = urlsplit(member.client_urls[0])
    return (parts.hostname or "", parts.port or 2379)


def serving(cluster: EtcdCluster) -> EtcdClient:
    """A client of the members that serve now: one that hangs delays nobody.

    Raises `Unreachable` if there is none.
    """
    client = cluster.client()
    asked = {name: (m.address, m.client_port) for name, m in cluster.members.items()}
    health = together(lambda at: client.health(*at), asked)
    client.endpoints = [asked[name] for name in asked if health[name].ok]
    if not client.endpoints:
        reasons = "; ".join(f"{name}: {health[name].reason}" for name in asked)
        raise Unreachable(f"no member of etcd cluster {cluster.name} serves: {reasons}")
    return client


def as_root(
    cluster: EtcdCluster, previous: Previous, *, endpoints: Sequence[tuple[str, int]] = ()
) -> EtcdClient:
    """A client as root, with whichever of root's passwords works: the wanted or an earlier one.

    `endpoints` are those to ask, all of the cluster's by default. Raises `ClientError`
    with a hint if neither does.
    """
    client = cluster.client()
    client.endpoints = endpoints or client.endpoints
    if client.user is None or client.password is None:
        return client
    earlier = previous(f"{cluster.address}/{user_key(ROOT)}")
    for password in dict.fromkeys((client.password, *earlier)):
        tried = cluster.client(root_password=password)
        tried.endpoints = client.endpoints
        if _usable(tried, password):
            return tried
    raise ClientError(
        f"etcd cluster {cluster.name} refuses root's password, earlier ones as well",
        hint="set it back with `etcdctl user passwd root`, then run the command again",
    )


def _usable(client: EtcdClient, password: str) -> bool:
    """Whether a call as root would go through: the password is right, or none is asked for."""
    try:
        return client.accepts(ROOT, password) or not client.authentication_enabled()
    except EtcdError:
        return False
