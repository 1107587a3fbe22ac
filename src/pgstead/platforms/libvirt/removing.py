"""The steps that remove a machine: the stack's own domain and volumes, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgstead.engine.resource import Data, Recorded, Step, Steps
from pgstead.errors import NotReady
from pgstead.platforms.libvirt import data as volumes_of_data
from pgstead.platforms.libvirt import domains, metadata, volumes
from pgstead.platforms.libvirt.ground import Ground
from pgstead.reach.guest import GuestReach

SECONDS = 120.0
"""For a guest that keeps its data to end cleanly; after that it is cut off, as by a power
failure, which servers and their file systems survive."""


def remove(ground: Ground, recorded: Recorded, data: Data) -> Steps:
    """Stop it, remove it, delete its own volumes; the data volume only when told so."""
    place = recorded.place
    name = str(place.get("machine", recorded.address))
    if "host" not in place:  # nothing was begun
        return
    own: Mapping[str, list[str]] = place["volumes"]

    def stop() -> None:
        domain = _own(ground, place)
        if domain is not None and domains.is_on(domain):
            _let_go(ground, place, domain)
            _end(ground, place, domain, cleanly=data is not Data.DELETE)

    def undefine() -> None:
        domain = _own(ground, place)
        if domain is not None:
            domains.undefine(ground.host(place), domain)

    def delete_volumes() -> None:
        if data is Data.ASIDE:
            volumes_of_data.put_aside(ground, place)
        for use in own:
            where = volumes_of_data.own(ground.host(place), place, use)
            if where and (use != volumes_of_data.DATA or data is Data.DELETE):
                volumes.remove(ground.host(place), *where)

    yield Step(f"stop {name}", stop)
    yield Step(f"remove {name}", undefine)
    yield Step(f"delete the volumes of {name}{_fate(ground, place, data)}", delete_volumes)


def _fate(ground: Ground, place: Mapping[str, Any], data: Data) -> str:
    where = volumes_of_data.own(ground.host(place), place, volumes_of_data.DATA)
    if where is None or data is Data.DELETE:
        return ""
    stays = f"; its data stays in {'/'.join(where)}"
    return f"{stays}, put aside" if data is Data.ASIDE else stays


def _let_go(ground: Ground, place: Mapping[str, Any], domain: Any) -> None:
    """Close the connection into the machine, which a minute may have to pass for otherwise."""
    way = ground.reach(str(place["machine"]), str(place["address"]), _user(ground, domain), domain)
    if isinstance(way, GuestReach):
        way.close()


def _user(ground: Ground, domain: Any) -> str:
    return str(metadata.of_domain(domain).get("user") or ground.settings.admin.user)


def _own(ground: Ground, place: Mapping[str, Any]) -> Any | None:
    return domains.find(ground.host(place), str(place["uuid"]))


def _end(ground: Ground, place: Mapping[str, Any], domain: Any, *, cleanly: bool) -> None:
    host = ground.host(place)
    if cleanly:
        try:
            return domains.shut_down(host, domain, SECONDS)
        except NotReady:
            pass  # it has had its time
    return domains.cut_off(host, domain)
