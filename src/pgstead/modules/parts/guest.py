"""What all modules' variables have in common."""

from __future__ import annotations

from collections.abc import Collection
from typing import Self

from pydantic import Field, model_validator

from pgstead import machine
from pgstead.machine import Admin, Disk, Size
from pgstead.modules.base import Context, Facts
from pgstead.modules.parts.certificates import Issuing
from pgstead.modules.parts.chrony import Chrony
from pgstead.modules.parts.cloud import CloudServer, cloud
from pgstead.modules.parts.interfaces import Interfaces, network_cards
from pgstead.modules.parts.model import HostName, MaybeLine, Model, Secret, problem, reveal
from pgstead.modules.parts.node_exporter import NodeExporter

__all__ = ["DataDisk", "DataGuest", "Furnished", "Guest", "guest", "without_effect"]

_NOT_OF_A_GUEST = ("name", "ip", "ca", "chrony", "install_dependencies")
_OF_HOSTS = (
    "vcpus",
    "memory",
    "pool",
    "cloud_init_volume_pool",
    "cloud_init_volume_name",
    "autostart",
)


class Furnished(Model):
    """Variables about what is in every machine, whatever it is there for."""

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
    chrony: Chrony = Field(default_factory=Chrony, description="Time synchronisation.")
    node_exporter: NodeExporter = Field(
        default_factory=NodeExporter, description="The machine's metrics for Prometheus. Ours."
    )
    install_dependencies: bool = Field(
        default=True,
        description="Whether to install packages; false for images that hold everything.",
    )


class DataDisk(Model):
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
        return self


class Guest(Interfaces, Furnished, Issuing):
    """Variables of every machine.

    Where machines lend the kernel of another, as on the platform local, size, disks,
    interfaces and the admin have no effect.
    """

    name: HostName = Field(description="Name of the machine, and its host name.")
    vcpus: int = Field(default=2, ge=1, le=1024, description="Processors of the machine.")
    memory: int = Field(default=8192, ge=128, description="Memory of the machine, in MiB.")
    flavor: MaybeLine = Field(
        default=None, description="Size of a cloud's server, by id or name; or the platform's."
    )
    volume_id: MaybeLine = Field(
        default=None, description="An existing volume with the system; instead of `image`."
    )
    image: MaybeLine = Field(
        default=None,
        description=(
            "Volume that the system's disk is cloned from, in a cloud an image by id or name; by"
            " default the platform's."
        ),
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
    autostart: bool = Field(default=True, description="Whether it starts together with its host.")

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


class DataGuest(DataDisk, Guest):
    """Variables of every machine that holds data."""

    @model_validator(mode="after")
    def _two_disks(self) -> Self:
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
        cloud=cloud(variables, variables.flavor),
    )


def without_effect(variables: Guest, context: Context, *others: str) -> tuple[str, ...]:
    """A warning about variables that are given, but are for machines of other platforms.

    `others` are those of the module's own that are for machines with their own kernel.
    """
    idle, why = _idle(context.facts, others)
    given = sorted(idle & variables.model_fields_set)
    if not given:
        return ()
    which = "has" if len(given) == 1 else "have"
    return (f"{', '.join(given)} {which} no effect: {why}.",)


def _idle(facts: Facts, others: Collection[str]) -> tuple[set[str], str]:
    """The variables that do nothing on the platform, and why."""
    if facts.shares_kernel:
        idle = {*DataGuest.model_fields, *others} - {*Issuing.model_fields, *_NOT_OF_A_GUEST}
        return idle, "machines of this platform share one kernel"
    if facts.platform == "libvirt":
        return {*CloudServer.model_fields, "flavor"}, "machines of this platform are no cloud's"
    if facts.platform == "openstack":
        interfaces = {*Interfaces.model_fields} - {*CloudServer.model_fields, *_NOT_OF_A_GUEST}
        return interfaces | {*_OF_HOSTS}, "a cloud says it by flavor, network_port and image"
    return set(), ""


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
