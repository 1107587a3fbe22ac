"""Which machines there are of stacks of one name: their servers' metadata tells."""

from __future__ import annotations

from pgstead.platforms.base import Found
from pgstead.platforms.openstack import servers, volumes
from pgstead.platforms.openstack.ground import Ground
from pgstead.platforms.openstack.naming import ADDRESS, STACK_ID, USER
from pgstead.platforms.openstack.servers import Server


def found(ground: Ground) -> tuple[Found, ...]:
    """The machines of all stacks of this name: two lists."""
    there = servers.of_name(ground)
    if not there:
        return ()
    kept = {
        (ident, one.machine)
        for ident, one in volumes.of_any(ground)
        if one.use == volumes.DATA and not one.aside
    }
    return tuple(_machine(ground, one, kept) for one in there)


def _machine(ground: Ground, server: Server, kept: set[tuple[str, str]]) -> Found:
    stack_id, address = server.about.get(STACK_ID, ""), server.about.get(ADDRESS, "")
    place = {
        "machine": server.machine,
        "server": server.name,
        "address": address,
        "user": server.about.get(USER) or ground.settings.admin.user,
        **({"zone": server.zone} if ground.settings.availability_zones else {}),
    }
    holds = (stack_id, server.machine) in kept
    where = f"the server {server.name} ({server.id})"
    return Found(server.machine, stack_id, address, place, holds_data=holds, where=where)
