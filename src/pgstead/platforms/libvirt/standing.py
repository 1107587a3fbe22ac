"""Domains that stand still: what drills have a hypervisor do to machines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pgstead.errors import Refused
from pgstead.platforms.libvirt import domains
from pgstead.platforms.libvirt.drivers import driver_of
from pgstead.platforms.libvirt.errors import explained
from pgstead.platforms.libvirt.ground import Ground


@dataclass(frozen=True)
class DomainStanding:
    """Implements `guests.breaking.Standing`; `place` gives where a machine is by its name."""

    ground: Ground
    place: Callable[[str], Mapping[str, Any]]

    def own_clock(self, machine: str) -> bool:
        """A container has its host's."""
        return driver_of(self.ground.host(self.place(machine))).own_kernel

    def suspend(self, machine: str, boot: str) -> None:
        """Suspend the domain. Raises `Refused` if it is off, or was started again since."""
        place = self.place(machine)
        host, domain = self.ground.host(place), self.ground.domain(place)
        with explained(f"look at {machine}", host.name):
            if not domains.is_on(domain):
                raise Refused(f"{machine} is off and cannot be frozen")
            if domains.boot(domain) != boot:
                raise Refused(f"{machine} was started again since: it is not that boot any more")
        domains.suspend(host, domain)

    def resume(self, machine: str) -> None:
        """Have a domain go on that is suspended; one that is off stays off."""
        place = self.place(machine)
        host, domain = self.ground.host(place), self.ground.domain(place)
        if domains.is_on(domain):
            domains.start(host, domain)
