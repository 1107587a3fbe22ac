"""What the state keeps of a membership, so that a machine can leave that is desired no more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pgstead.machine import Machine
from pgstead.membership import EtcdMember, PatroniMember

KEY = "membership"


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
    return {"cluster": f"{place.kind}.{place.group}", KEY: kept}


def read(place: Mapping[str, Any]) -> Place | None:
    """What `of` kept; None for a machine that is part of nothing."""
    kept = place.get(KEY)
    return Place(**kept) if kept else None
