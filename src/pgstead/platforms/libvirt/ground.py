"""What the steps of every machine stand on: settings, names, hosts, keys, ways in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pgstead.engine.resource import Recorded, Resource
from pgstead.errors import PlatformError
from pgstead.machine import Machine, Nic
from pgstead.platforms.guests.keys import Keys
from pgstead.platforms.libvirt import domains, kvm, networks, pools, volumes
from pgstead.platforms.libvirt.connection import Host, Hosts
from pgstead.platforms.libvirt.drivers import driver_of
from pgstead.platforms.libvirt.guest import Guest
from pgstead.platforms.libvirt.naming import Naming
from pgstead.platforms.libvirt.networks import Subnet
from pgstead.reach.base import Reach
from pgstead.spec.libvirt import LibvirtPlatform

ReachOf = Callable[[str, str, str, Any], Reach]
"""Makes a way into a machine: by its name, address, first user, and domain."""


@dataclass
class Ground:
    """One stack's ground."""

    settings: LibvirtPlatform
    naming: Naming
    hosts: Hosts
    keys: Keys
    reach_of: ReachOf | None
    recorded: Callable[[], Mapping[str, Recorded]]
    _proofs: dict[str, str] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def host(self, place: Mapping[str, Any]) -> Host:
        """The host that a resource's or a record's place names."""
        return self.hosts.get(str(place["host"]))

    def domain(self, place: Mapping[str, Any]) -> Any:
        """The domain of a machine. Raises `PlatformError` if there is none."""
        return domains.require(self.host(place), str(place["uuid"]), str(place["machine"]))

    def guest(self, resource: Resource, domain: Any = None) -> Guest:
        """A resource's machine, to work in; it has a domain."""
        machine: Machine = resource.body
        there = self.domain(resource.place) if domain is None else domain
        user = machine.guest.admin.user or self.settings.admin.user
        reach = self.reach(machine.name, machine.address, user, there)
        return Guest(machine, self.host(resource.place), there, reach)

    def reach(self, machine: str, address: str, user: str, domain: Any) -> Reach | None:
        """The way into a machine; None where the stack file says that there is none."""
        if self.reach_of is None:
            return None
        return self.reach_of(machine, address, user, domain)

    def virt_type(self, host: Host) -> str:
        """As the driver, the stack file, or a guest that runs says; tried once per host."""
        wanted = driver_of(host).virt_type or self.settings.virt_type
        if wanted not in ("auto", "kvm"):
            return wanted
        with self._guard:
            if host.name not in self._proofs:
                if wanted == "kvm":
                    kvm.require(host, self.cpu("kvm"))
                    self._proofs[host.name] = "kvm"
                else:
                    reason = kvm.proven(host, self.cpu("kvm"))
                    self._proofs[host.name] = "qemu" if reason else "kvm"
            return self._proofs[host.name]

    def cpu(self, virt_type: str) -> str:
        """The CPU that guests see."""
        if self.settings.cpu is not None:
            return self.settings.cpu
        return "host-passthrough" if virt_type == "kvm" else "maximum"

    def prepare(self, host: Host) -> None:
        """Make the stack's own networks and pools on a host, where they are not there yet."""
        for name, pool in self.settings.pools.items():
            pools.make(host, name, self.naming.uuid("pool", name), pool.path)
        for name, network in self.settings.networks.items():
            uuid = self.naming.uuid("network", name)
            networks.make(host, name, uuid, network.subnet, network.mode)

    def clear(self, host: Host) -> list[str]:
        """Remove the stack's own images, networks and empty pools; gives the pools that stay."""
        volumes.remove_ending(host, self.naming.image_suffix)
        for name in self.settings.networks:
            networks.remove(host, self.naming.uuid("network", name))
        kept = (pools.remove(host, self.naming.uuid("pool", name)) for name in self.settings.pools)
        return [name for name in kept if name]

    def networked(self, machine: Machine, host: Host) -> tuple[Nic, ...]:
        """The machine's interfaces with what their libvirt networks know of addresses."""
        return tuple(
            self._networked(nic, number, host) for number, nic in enumerate(machine.guest.nics)
        )

    def _networked(self, nic: Nic, number: int, host: Host) -> Nic:
        if nic.prefix_length is not None and (nic.gateway is not None or number > 0):
            return nic
        return _completed(nic, number, None if nic.macvtap else self._subnet(nic, host))

    def _subnet(self, nic: Nic, host: Host) -> Subnet | None:
        """What is known of a network's addresses; a host need not be asked for the stack's own."""
        given = nic.network_id or nic.network_name or host.network or "default"
        own = self.settings.networks.get(given)
        if own is not None:
            return networks.own_subnet(own.subnet, own.mode)
        return networks.subnet(networks.find(host, given))


def _completed(nic: Nic, number: int, subnet: Subnet | None) -> Nic:
    if nic.prefix_length is None and subnet is None:
        raise PlatformError(
            f"the prefix length of the interface with {nic.address} is not known: its network"
            " on the host has no addresses of its own",
            hint="give prefix_length with the interface, or under platform",
        )
    if subnet is None:
        return nic
    gateway = subnet.gateway if subnet.forwards and number == 0 else None
    return replace(
        nic,
        prefix_length=nic.prefix_length or subnet.network.prefixlen,
        gateway=nic.gateway or gateway,
    )
