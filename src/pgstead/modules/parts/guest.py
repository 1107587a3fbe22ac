"""What all modules' variables have in common."""

from __future__ import annotations

from pydantic import Field

from pgstead.modules.parts.certificates import Issuing
from pgstead.modules.parts.chrony import Chrony
from pgstead.modules.parts.model import Address, HostName

__all__ = ["Guest"]


class Guest(Issuing):
    """Variables of every machine.

    The machine's size, disks, networks, admin access and log shipping belong here, once a
    platform makes use of them.
    """

    name: HostName = Field(description="Name of the machine, and its host name.")
    ip: Address | None = Field(
        default=None, description="Address of the machine; without one, pgstead finds a free one."
    )
    chrony: Chrony = Field(default_factory=Chrony, description="Time synchronisation.")
    install_dependencies: bool = Field(
        default=True,
        description="Whether to install packages; false for images that hold everything.",
    )
