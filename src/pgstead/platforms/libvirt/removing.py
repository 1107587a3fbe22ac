"""The steps that remove a machine: the stack's own domain and volumes, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgstead.engine.resource import Data, Recorded, Step, Steps
from pgstead.errors import NotReady
from pgstead.platforms.libvirt import domains, volumes
from pgstead.platforms.libvirt.ground import Ground

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
            _end(ground, place, domain, cleanly=data is not Data.DELETE)

    def undefine() -> None:
        domain = _own(ground, place)
        if domain is not None:
            domains.undefine(ground.host(place), domain)

    def delete_volumes() -> None:
        for use, (pool, volume) in own.items():
            if use != "data" or data is Data.DELETE:
                volumes.remove(ground.host(place), pool, volume)

    yield Step(f"stop {name}", stop)
    yield Step(f"remove {name}", undefine)
    kept = "data" in own and data is not Data.DELETE
    aside = f"; its data stays in {'/'.join(own['data'])}" if kept else ""
    yield Step(f"delete the volumes of {name}{aside}", delete_volumes)


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
