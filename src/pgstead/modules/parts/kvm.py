"""The modules by their names of old: with the rules and defaults that they had there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from pgstead.modules.parts.interfaces import LibvirtNetwork
from pgstead.modules.parts.model import Line, Model, problem

if TYPE_CHECKING:
    from pgstead.modules.parts.guest import Guest as Base
else:
    # A mixin: with fields of its own for all of a guest's, it would hide a module's defaults.
    Base = Model

__all__ = ["KvmGuest"]


class KvmGuest(Base):
    """A virtual machine whose disk, networks and admin the stack file names itself."""

    cloud_init_volume_pool: Line = Field(
        min_length=1, description="Storage pool of the cloud-init volume, while there is one."
    )
    ssh_admin_user: Line = Field(
        default="ubuntu",
        pattern=r"^[a-z_][a-z0-9_-]{0,31}$",
        description="The first user, who may become root.",
    )
    ssh_admin_public_key: Line = Field(
        min_length=1, description="SSH key that may log in as that user."
    )

    @model_validator(mode="after")
    def _has_a_system(self) -> Self:
        if self.volume_id is None and self.image is None:
            raise problem("is required, or `image` to clone it from", "volume_id")
        return self

    @model_validator(mode="after")
    def _is_connected(self) -> Self:
        """An address and a network to have it in: none is found for these modules."""
        flat = self.network_id is not None or self.macvtap_interface is not None
        if not self.listed and not flat:
            raise ValueError("needs an interface: a libvirt network, or macvtap")
        if self.wanted_ip is None:
            raise problem("is required", *self._place_of_ip())
        if self.macvtap_interface is not None and self.macvtap_subnet_prefix_length is None:
            raise problem("is required beside it", "macvtap_subnet_prefix_length")
        for index, one in enumerate(self.macvtap_interfaces):
            if one.prefix_length is None:
                raise problem("needs prefix_length", "macvtap_interfaces", str(index))
        return self

    def _place_of_ip(self) -> tuple[str, ...]:
        if not self.listed:
            return ("ip",)
        if isinstance(self.listed[0], LibvirtNetwork):
            return ("libvirt_network" if self.libvirt_network else "libvirt_networks",)
        return ("macvtap_interfaces",)
