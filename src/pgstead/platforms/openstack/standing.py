"""Servers that stand still: what drills have a cloud do to machines."""

from __future__ import annotations

from dataclasses import dataclass

from pgstead.errors import Refused
from pgstead.platforms.openstack import servers
from pgstead.platforms.openstack.ground import Ground


@dataclass(frozen=True)
class ServerStanding:
    """Implements `guests.breaking.Standing`."""

    ground: Ground

    def own_clock(self, machine: str) -> bool:
        """A virtual machine has one."""
        del machine
        return True

    def suspend(self, machine: str, boot: str) -> None:
        """Pause the server. Raises `Refused` if it is off, or was started again since."""
        server = servers.require(self.ground, machine)
        if not server.is_on:
            raise Refused(f"{machine} is off and cannot be frozen")
        if servers.boot(self.ground, server) != boot:
            raise Refused(f"{machine} was started again since: it is not that boot any more")
        servers.pause(self.ground, server)

    def resume(self, machine: str) -> None:
        """Have a server go on that is paused; one that is off stays off."""
        server = servers.require(self.ground, machine)
        if server.status == servers.PAUSED:
            servers.start(self.ground, server)
