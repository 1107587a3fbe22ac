"""What all modules' variables have in common."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from pgstead import machine
from pgstead.machine import Admin, Disk, Size
from pgstead.modules.base import Context
from pgstead.modules.parts.certificates import Issuing
from pgstead.modules.parts.chrony import Chrony
from pgstead.modules.parts.interfaces import Interfaces, network_cards
from pgstead.modules.parts.model import HostName, MaybeLine, Secret, problem, reveal
from pgstead.modules.parts.node_exporter import NodeExporter

__all__ = ["DataGuest", "Guest", "guest", "without_effect"]

_NOT_OF_A_GUEST = ("name", "ip", "ca", "chrony", "install_dependencies")


class Guest(Interfaces, Issuing):
    """Variables of every machine.

    Where machines lend the kernel of another, as on the platform local, size, disks,
    interfaces and the admin have no effect.
    """

    name: HostName = Field(description="Name of the machine, and its host name.")
    vcpus: int = Field(default=2, ge=1, le=1024, description="Processors of the machine.")
    memory: int = Field(default=8192, ge=128, description="Memory of the machine, in MiB.")
    volume_id: MaybeLine = Field(
        default=None, description="An existing volume with the system; instead of `image`."
    )
    image: MaybeLine = Field(
        default=None,
        description="Volume that the system's disk is cloned from; by default the platform's.",
    )
    os_size: int | None = Field(
        default=None, ge=1, description="Size of that clone, in GiB; by default the platform's."
    )
    pool: MaybeLine = Field(default=None, description="Storage pool of disks that pgstead makes.")
    cloud_init_volume_pool: MaybeLine = Field(
        default=None, description="Storage pool of the cloud-init volume, while there is one."
    )
    cloud_init_volume_name: MaybeLine = Field(
        default=None,
        description="Name of that volume; by default the machine's, and -cloud-init.iso.",
    )
    ssh_admin_user: MaybeLine = Field(
        default=None,
        pattern=r"^[a-z_][a-z0-9_-]{0,31}$",
        description="The first user, who may become root; by default the platform's: ubuntu.",
    )
    admin_user_password: Secret | None = Field(
        default=None, description="Password of that user, for the console alone, never for SSH."
    )
    ssh_admin_public_key: MaybeLine = Field(
        default=None, description="SSH key that may log in as that user."
    )
    running: bool = Field(default=True, description="Whether the machine runs.")
    autostart: bool = Field(default=True, description="Whether it starts together with its host.")
    chrony: Chrony = Field(default_factory=Chrony, description="Time synchronisation.")
    node_exporter: NodeExporter = Field(
        default_factory=NodeExporter, description="The machine's metrics for Prometheus. Ours."
    )
    install_dependencies: bool = Field(
        default=True,
        description="Whether to install packages; false for images that hold everything.",
    )

    @model_validator(mode="after")
    def _one_system(self) -> Self:
        if self.volume_id is not None:
            for name in ("image", "os_size"):
                if getattr(self, name) is not None:
                    raise problem("is for a disk that is made, but volume_id names one", name)
        return self

    @property
    def own_data_disk(self) -> tuple[str | None, int | None]:
        """The data disk's volume, or its size in GiB, where the module names one of them."""
        return None, None


class DataGuest(Guest):
    """Variables of a machine that holds data."""

    data_volume_id: MaybeLine = Field(
        default=None,
        description="An existing volume for the data; formatted only if it is empty.",
    )
    data_size: int | None = Field(
        default=None,
        ge=0,
        description="Size of a data disk that is made, in GiB; 0: none, data lies on the"
        " system's disk. By default the platform's.",
    )

    @model_validator(mode="after")
    def _one_data_disk(self) -> Self:
        if self.data_volume_id is not None and self.data_size is not None:
            raise problem("is for a disk that is made, but data_volume_id names one", "data_size")
        if self.data_volume_id is not None and self.data_volume_id == self.volume_id:
            raise problem("is the volume of the system", "data_volume_id")
        return self

    @property
    def own_data_disk(self) -> tuple[str | None, int | None]:
        """The data disk's volume, or its size in GiB, where the module names one of them."""
        return self.data_volume_id, self.data_size


def guest(
    variables: Guest,
    context: Context,
    address: str,
    *,
    data: Disk | None = None,
    watchdog: str | None = None,
) -> machine.Guest:
    """What a machine with a kernel of its own is made of; nothing to say for others.

    `data` is where data lies: its mount, owner and mode. `watchdog` is a hardware's model.
    """
    if context.facts.shares_kernel:
        return machine.Guest()
    return machine.Guest(
        size=Size(variables.vcpus, variables.memory),
        os_disk=Disk(
            "os",
            volume_id=variables.volume_id,
            base=variables.image,
            size=variables.os_size,
            pool=variables.pool,
        ),
        data_disk=None if data is None else _data_disk(variables, data),
        nics=network_cards(variables, address),
        admin=_admin(variables),
        seed_pool=variables.cloud_init_volume_pool,
        seed_name=variables.cloud_init_volume_name or f"{variables.name}-cloud-init.iso",
        running=variables.running,
        autostart=variables.autostart,
        install=variables.install_dependencies,
        watchdog=watchdog,
    )


def without_effect(variables: Guest, context: Context, *others: str) -> tuple[str, ...]:
    """A warning about variables that are given, but are for machines with their own kernel.

    `others` are those of the module's own that are so, too.
    """
    if not context.facts.shares_kernel:
        return ()
    of_a_guest = {*DataGuest.model_fields, *others} - {*Issuing.model_fields, *_NOT_OF_A_GUEST}
    given = sorted(of_a_guest & variables.model_fields_set)
    if not given:
        return ()
    which = "has" if len(given) == 1 else "have"
    words = f"{', '.join(given)} {which} no effect: machines of this platform share one kernel."
    return (words,)


def _data_disk(variables: Guest, data: Disk) -> Disk:
    volume_id, size = variables.own_data_disk
    return Disk(
        "data",
        volume_id=volume_id,
        size=size,
        pool=variables.pool,
        mount=data.mount,
        owner=data.owner,
        mode=data.mode,
    )


def _admin(variables: Guest) -> Admin:
    return Admin(
        user=variables.ssh_admin_user,
        public_key=variables.ssh_admin_public_key,
        password=reveal(variables.admin_user_password) or None,
    )
