"""Looking at an etcd cluster: who is listed, and who serves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from pgstead.clients.etcd import EtcdClient, EtcdError, Health, Member
from pgstead.clients.http import Unreachable
from pgstead.clusters.deciding import together
from pgstead.clusters.etcd_membership import Seat, View
from pgstead.clusters.groups import EtcdCluster
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
    endpoints = sorted(asked, key=lambda name: not health[name].serves)
    for name in endpoints:
        one = EtcdClient([asked[name]], client.tls)
        try:
            members, version = one.members(), one.version()
        except ClientError:
            continue
        known = {asked[name]: health[name] for name in asked}
        full = any(one.no_space for one in health.values())
        return View(_seats(client, members, known), version, no_space=full)
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
        return (known.get(at) or found.get(str(member.id)) or Health(False)).serves

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
    client.endpoints = [asked[name] for name in asked if health[name].serves]
    if not client.endpoints:
        reasons = "; ".join(f"{name}: {health[name].reason}" for name in asked)
        raise Unreachable(f"no member of etcd cluster {cluster.name} serves: {reasons}")
    return client


def roles(cluster: EtcdCluster) -> dict[str, str]:
    """Each machine's role as the cluster tells it: leader, follower or learner.

    Raises `ClientError` if none serves.
    """
    client = serving(cluster)
    leader = client.status().leader
    known = {url: one for one in client.members() for url in one.client_urls}
    found = {
        name: known.get(f"https://{member.address}:{member.client_port}")
        for name, member in cluster.members.items()
    }
    return {name: _role(one, leader) for name, one in found.items() if one is not None}


def _role(member: Member, leader: int) -> str:
    if member.id == leader:
        return "leader"
    return "learner" if member.is_learner else "follower"


def as_root(
    cluster: EtcdCluster, previous: Previous, *, endpoints: Sequence[tuple[str, int]] = ()
) -> EtcdClient:
    """A client as root, or as pgstead's own user, with whichever of its passwords works.

    They are the wanted one and earlier ones.

    `endpoints` are those to ask, all of the cluster's by default. Raises `ClientError`
    with a hint if neither does.
    """
    client = cluster.client()
    client.endpoints = endpoints or client.endpoints
    if client.user is None or client.password is None:
        return client
    earlier = previous(f"{cluster.address}/{user_key(client.user)}")
    for password in dict.fromkeys((client.password, *earlier)):
        tried = cluster.client(root_password=password)
        tried.endpoints = client.endpoints
        if _usable(tried, password):
            return tried
    raise ClientError(
        f"etcd cluster {cluster.name} refuses {client.user}'s password, earlier ones as well",
        hint=f"set it back with `etcdctl user passwd {client.user}`, then run the command again",
    )


def _usable(client: EtcdClient, password: str) -> bool:
    """Whether a call as root would go through: the password is right, or none is asked for."""
    try:
        accepted = client.user is not None and client.accepts(client.user, password)
        return accepted or not client.authentication_enabled()
    except EtcdError:
        return False
