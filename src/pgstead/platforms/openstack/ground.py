"""What the steps of every machine stand on: settings, names, the cloud, keys, ways in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pgstead.engine.resource import Recorded
from pgstead.machine import Machine, Nic
from pgstead.platforms.guests.guest import Guest
from pgstead.platforms.guests.keys import Keys
from pgstead.platforms.openstack.catalog import Catalog, Network, Subnet
from pgstead.platforms.openstack.connection import Cloud
from pgstead.platforms.openstack.naming import Naming
from pgstead.platforms.openstack.roles import Wanted, rules
from pgstead.reach.base import Reach
from pgstead.spec.openstack import OpenStackPlatform

ReachOf = Callable[[str, str, str], Reach]
"""Makes the way into a machine: by its name, address and first user."""


@dataclass
class Ground:
    """One stack's ground."""

    settings: OpenStackPlatform
    naming: Naming
    cloud: Cloud
    catalog: Catalog
    keys: Keys
    reach_of: ReachOf | None
    recorded: Callable[[], Mapping[str, Recorded]]
    machines: dict[str, Machine] = field(default_factory=dict)
    """Those that there are to be, by name: their roles' groups let each other in."""

    grouped: Mapping[str, frozenset[Wanted]] | None = None
    """What the stack's own security groups let in since this command last saw to them."""

    untouched: set[str] = field(default_factory=set)
    """Machines that nobody ever began: nothing of them was there, or recorded, at the last look
    at everything."""

    making: threading.RLock = field(default_factory=threading.RLock)
    """Held while something that machines share is looked for and made."""

    def expect(self, *machines: Machine) -> None:
        """Learn of machines that there are to be."""
        with self.making:
            self.machines |= {one.name: one for one in machines}

    @property
    def wanted(self) -> Mapping[str, frozenset[Wanted]]:
        """What the stack's own security groups let in, by role."""
        with self.making:
            own = [one for one in self.machines.values() if any(map(self._is_own, one.guest.nics))]
        ssh = self.settings.delivery == "reach"
        return rules(own, self.settings.allowed_networks, ssh=ssh)

    def _is_own(self, nic: Nic) -> bool:
        """Whether the interface is in a group that the stack makes."""
        existing = nic.port is not None and nic.port.existing is not None
        return not existing and self.given_groups(nic) is None

    def given_groups(self, nic: Nic) -> tuple[str, ...] | None:
        """The existing groups that the stack file names for it; None for the role's own."""
        groups = nic.port.security_groups if nic.port else None
        return self.settings.security_groups if groups is None else groups

    def network_of(self, nic: Nic) -> Network:
        """The network of an interface whose port is made."""
        return self.catalog.network(nic.network_id or nic.network_name or self.settings.network)

    def subnet_of(self, nic: Nic) -> Subnet:
        """The subnet of an interface whose port is made."""
        network, subnet = self.network_of(nic), nic.port.subnet if nic.port else None
        named = nic.network_id or nic.network_name
        return self.catalog.subnet(network, subnet or (None if named else self.settings.subnet))

    def begins(self, machine: str) -> bool:
        """Whether a machine is begun for the first time: nothing of it has to be looked for."""
        with self.making:
            known = machine in self.untouched
            self.untouched.discard(machine)
            return known

    def guest(self, machine: Machine) -> Guest:
        """A machine that runs, to work in."""
        user = machine.guest.admin.user or self.settings.admin.user
        reach = self.reach(machine.name, machine.address, user)
        return Guest(machine, self.name, reach)

    def reach(self, machine: str, address: str, user: str) -> Reach | None:
        """The way into a machine; None where the stack file says that there is none."""
        return None if self.reach_of is None else self.reach_of(machine, address, user)

    @property
    def name(self) -> str:
        """The cloud, in words."""
        return f"the cloud {self.settings.cloud}" if self.settings.cloud else "the cloud"
