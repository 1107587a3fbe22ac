"""The steps that remove a machine: the stack's own server, ports and volumes, nothing else."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from pgstead.engine.resource import Data, Recorded, Step, Steps
from pgstead.errors import NotReady
from pgstead.platforms.openstack import ports, servers, volumes
from pgstead.platforms.openstack.ground import Ground
from pgstead.reach.guest import GuestReach


def remove(ground: Ground, recorded: Recorded, data: Data) -> Steps:
    """Stop it, remove it, delete its own ports and volumes; its data only when told so."""
    place = recorded.place
    if "machine" not in place:  # nothing was begun
        return
    name = str(place["machine"])

    def stop() -> None:
        """Cleanly, where its data stays: file systems are written out."""
        server = servers.find(ground, name)
        if server is None or not server.is_on:
            return
        _let_go(ground, recorded)
        if data is not Data.DELETE:
            with suppress(NotReady):  # it has had its time
                servers.stop(ground, server)

    def delete_server() -> None:
        server = servers.find(ground, name)
        if server is not None:
            servers.delete(ground, server)

    rest = partial(_delete_rest, ground, name, data)
    yield Step(f"stop {name}", stop)
    yield Step(f"delete the server of {name}", delete_server)
    yield Step(f"delete the ports and volumes of {name}{_fate(ground, name, data)}", rest)


def _delete_rest(ground: Ground, name: str, data: Data) -> None:
    if data is Data.ASIDE:
        volumes.put_aside(ground, name)
    # Ports come with their machines: those of one that goes were there when this command began.
    ports.delete_all(ground, name, ports.of_stack(ground))
    for use in (volumes.OS, volumes.DATA) if data is Data.DELETE else (volumes.OS,):
        for volume in volumes.of_machine(ground, name, use):
            volumes.delete(ground, volume)


def _fate(ground: Ground, name: str, data: Data) -> str:
    found = None if data is Data.DELETE else volumes.find(ground, name, volumes.DATA)
    if found is None:
        return ""
    stays = f"; its data stays in {found.name}"
    return f"{stays}, put aside" if data is Data.ASIDE else stays


def _let_go(ground: Ground, recorded: Recorded) -> None:
    """Close the connection into the machine, which a minute may have to pass for otherwise."""
    place = recorded.place
    user = str(place.get("user") or ground.settings.admin.user)
    way = ground.reach(str(place["machine"]), str(place["address"]), user)
    if isinstance(way, GuestReach):
        way.close()
