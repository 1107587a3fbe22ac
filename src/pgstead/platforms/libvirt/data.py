"""Data volumes: which one a machine has, which are put aside, and what is left of machines.

libvirt renames no volume. Data that is put aside stays where it is, and a small volume beside
it, `<name>.aside`, says so; the machine's next data volume has the next name: `<name>.2`, ...
Who deletes the mark has the data found again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from typing import Any

import libvirt

from pgstead.platforms.libvirt import folders, volumes
from pgstead.platforms.libvirt.connection import Host, HostDown
from pgstead.platforms.libvirt.errors import explained
from pgstead.platforms.libvirt.ground import Ground

MARK = ".aside"
DATA = "data"
WRITTEN = 1024 * 1024
"""Bytes: a volume that takes less room holds no file system yet, which takes several times that."""

Place = tuple[str, str]
"""A volume: its pool and its name."""


def own(host: Host, place: Mapping[str, Any], use: str) -> Place | None:
    """The stack's own volume for that use of a machine, made or not; None where it has none."""
    found = place["volumes"].get(use)
    if found is None:
        return None
    pool, name = found
    return (pool, _current(_names(host, pool), name)) if use == DATA else (pool, name)


def _names(host: Host, pool: str) -> set[str]:
    """The volumes of a pool; none of one that is not there, which a stack may yet make."""
    with explained(f"storage pool {pool}", host.name):
        for each in host.connection.listAllStoragePools():
            if each.name() == pool:
                if not each.isActive():
                    each.create()
                return set(each.listVolumes())
    return set()


def _current(names: Collection[str], first: str) -> str:
    """The first of a machine's names that is not put aside."""
    each = (first if number == 1 else f"{first}.{number}" for number in count(1))
    return next(name for name in each if f"{name}{MARK}" not in names)


def put_aside(ground: Ground, place: Mapping[str, Any]) -> None:
    """Mark a machine's data volume, if it is there: no later machine finds it."""
    host = ground.host(place)
    where = own(host, place, DATA)
    if where is None or volumes.find(host, *where) is None:
        return
    pool, name = where
    words = (
        f"{name} holds the data of {place['machine']} of the stack {ground.naming.stack}, put"
        f" aside at {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC. No machine finds it while this"
        " volume is here.\n"
    )
    volumes.upload(host, pool, f"{name}{MARK}", words.encode())


def holds(ground: Ground, place: Mapping[str, Any]) -> bool:
    """Whether a machine's data volume is there and was written to, be the machine there or not."""
    host = ground.host(place)
    where = own(host, place, DATA)
    found = volumes.find(host, *where) if where else None
    if found is None:
        return False
    if found.format == folders.FORMAT:
        return not folders.is_empty(found.path)
    with explained(f"volume {found.name}", host.name):
        return int(found.handle.info()[2]) >= WRITTEN


def left(ground: Ground) -> dict[str, Place]:
    """Data volumes of the stack that no recorded machine has, in words and by their places.

    A host that is down has none to show.
    """
    recorded = [one.place for one in ground.recorded().values() if "host" in one.place]
    found: dict[str, Place] = {}
    for host in ground.hosts:
        with suppress(HostDown):
            here = [place for place in recorded if place["host"] == host.name]
            used = {own(host, place, DATA) for place in here}
            for where in _of_stack(ground, host):
                if where not in used and not where[1].endswith(MARK):
                    found[_words(ground, host, where)] = where
    return found


def remove_all(ground: Ground, host: Host) -> None:
    """Delete every data volume of the stack on a host, with the marks of those aside."""
    for where in _of_stack(ground, host):
        volumes.remove(host, *where)


def _of_stack(ground: Ground, host: Host) -> Iterator[Place]:
    """Volumes whose names tell that they hold the stack's data, in any pool that is active."""
    wanted = re.compile(rf".+{re.escape(ground.naming.data_suffix)}(\.\d+)?({re.escape(MARK)})?")
    with explained("list of volumes", host.name):
        pools = host.connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE)
        for pool in sorted(pools, key=lambda one: str(one.name())):
            for name in sorted(pool.listVolumes()):
                if wanted.fullmatch(name):
                    yield pool.name(), name


def _words(ground: Ground, host: Host, where: Place) -> str:
    several = len(ground.hosts.names) > 1
    return f"{host.name}:{'/'.join(where)}" if several else "/".join(where)
