"""Which machines there are of stacks of one name: their domains' metadata tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import libvirt

from pgstead.platforms.base import Found
from pgstead.platforms.libvirt import metadata
from pgstead.platforms.libvirt.connection import Host
from pgstead.platforms.libvirt.data import DATA
from pgstead.platforms.libvirt.errors import explained
from pgstead.platforms.libvirt.ground import Ground
from pgstead.platforms.libvirt.naming import Naming

USES = (("os", ""), (DATA, ""), ("seed", ".iso"))
"""What a machine's own volumes are for, and how their names end."""


def found(ground: Ground) -> tuple[Found, ...]:
    """The machines on all hosts. Raises `HostDown` where one cannot be asked."""
    return tuple(one for host in ground.hosts for one in _on_host(ground.naming, host))


def _on_host(naming: Naming, host: Host) -> Iterator[Found]:
    with explained("list of domains", host.name):
        domains = [(one, metadata.of_domain(one)) for one in host.connection.listAllDomains()]
        ours = [(one, about) for one, about in domains if about.get("stack") == naming.stack]
        pools = _pools(host) if ours else {}
        for domain, about in ours:
            machine, stack_id = str(about.get("machine", "")), str(about.get("stack_id", ""))
            whose = replace(naming, stack_id=stack_id)
            if domain.UUIDString() == whose.uuid("domain", machine):  # else a copy made by hand
                yield _machine(whose, host, domain, about, pools)


def _machine(
    naming: Naming, host: Host, domain: Any, about: Mapping[str, Any], pools: Mapping[str, str]
) -> Found:
    machine = str(about["machine"])
    addresses = [str(each) for each in about.get("addresses", ())]
    address = addresses[0] if addresses else ""
    own = dict(_volumes(naming, machine, pools))
    place = {
        "machine": machine,
        "host": host.name,
        "domain": domain.name(),
        "uuid": domain.UUIDString(),
        "address": address,
        "volumes": own,
    }
    where = f"the domain {domain.name()} on {host.name}"
    return Found(machine, naming.stack_id, address, place, holds_data=DATA in own, where=where)


def _pools(host: Host) -> dict[str, str]:
    """The pool of each volume, by the volume's name."""
    flag = libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE
    pools = host.connection.listAllStoragePools(flag)
    return {name: pool.name() for pool in pools for name in pool.listVolumes()}


def _volumes(
    naming: Naming, machine: str, pools: Mapping[str, str]
) -> Iterator[tuple[str, list[str]]]:
    """The machine's own volumes that there are: pool and name; of data, the first one's name."""
    for use, suffix in USES:
        first = naming.volume(machine, use, suffix)
        there = sorted(name for name in pools if name == first or name.startswith(f"{first}."))
        if there:
            yield use, [pools[there[0]], first]
