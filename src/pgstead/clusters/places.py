"""What the state keeps of a membership, so that a machine can leave that is desired no more."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pgstead.engine.lost import CLUSTER
from pgstead.engine.resource import Recorded
from pgstead.machine import Machine
from pgstead.membership import EtcdMember, PatroniMember

KEY = "membership"
TOKEN = "token"  # noqa: S105 - a word that etcd hashes, no secret


@dataclass(frozen=True, slots=True)
class Place:
    """A former member: `kind` is etcd or patroni, `group` its cluster or scope."""

    kind: str
    group: str
    name: str
    address: str
    port: int
    etcd_cluster: str = ""
    prefix: str = ""


def of(machine: Machine) -> dict[str, Any]:
    """The words to keep: the resource that stands for its cluster, and who it is there."""
    member = machine.membership
    if isinstance(member, EtcdMember):
        place = Place("etcd", member.cluster, member.name, member.address, member.peer_port)
    elif isinstance(member, PatroniMember):
        prefix = f"/{member.namespace.strip('/')}/{member.scope}/".replace("//", "/")
        etcd = member.etcd_cluster or ""
        place = Place(
            "patroni", member.scope, member.name, member.address, member.api_port, etcd, prefix
        )
    else:
        return {}
    kept = {name: getattr(place, name) for name in Place.__dataclass_fields__}
    return {CLUSTER: f"{place.kind}.{place.group}", KEY: kept}


def with_token(cluster: Recorded) -> Recorded:
    """An etcd cluster that begins anew, with a token (hexadecimal) that it never had.

    etcd makes the cluster's id of its members' URLs and its token. With the same id Patroni
    would take the new cluster, whose raft term begins at 1, for a member that is behind.
    """
    return replace(cluster, place={**cluster.place, TOKEN: secrets.token_hex(4)})


def token(cluster: Recorded | None) -> str:
    """What `with_token` gave; empty for a cluster that is made for the first time."""
    return str(cluster.place.get(TOKEN, "")) if cluster else ""


def read(place: Mapping[str, Any]) -> Place | None:
    """What `of` kept; None for a machine that is part of nothing."""
    kept = place.get(KEY)
    return Place(**kept) if kept else None
