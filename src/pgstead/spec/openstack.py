"""What a stack file says under `platform` when its machines are servers of an OpenStack cloud."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from pgstead.spec.models import Line, Location, Model, Network, Problems
from pgstead.spec.virtual import AddressRange, FirstUser

ANYWHERE = "0.0.0.0/0"


class OpenStackPlatform(Model):
    """Servers of an OpenStack cloud. Images, flavors, networks, ... are named by id or name."""

    kind: Literal["openstack"] = Field("openstack", description="Servers of an OpenStack cloud.")
    cloud: Line | None = Field(
        None,
        description="The cloud's name in clouds.yaml. By default what the OS_* variables say: "
        "OS_CLOUD, or OS_AUTH_URL and those beside it.",
    )
    region: Line | None = Field(None, description="The region, where the cloud has several.")
    image: Line | None = Field(
        None, description="The image of machines that name none; it needs cloud-init."
    )
    flavor: Line | None = Field(None, description="The flavor of machines that name none.")
    network: Line | None = Field(
        None,
        description="The network that machines' ports are made on; by default the project's only "
        "one.",
    )
    subnet: Line | None = Field(
        None, description="The subnet that addresses are of; by default the network's only one."
    )
    addresses: AddressRange | None = Field(
        None,
        description="The range that machines get their addresses from, e.g. "
        "10.0.0.50-10.0.0.80. By default the free ones of the subnet, the last ones first.",
    )
    availability_zones: tuple[Line, ...] = Field(
        (), description="Zones that the members of a cluster are spread over."
    )
    volume_zone: Line | None = Field(
        None,
        description="The availability zone of volumes; by default the machine's, where one is "
        "given.",
    )
    key_pair: Line | None = Field(
        None, description="An existing key pair whose key may log in, besides pgstead's own."
    )
    security_groups: tuple[Line, ...] | None = Field(
        None,
        description="Existing security groups of the machines; [] for none. By default the stack "
        "makes one for each role, with the ports that it serves.",
    )
    allowed_networks: tuple[Network, ...] = Field(
        (ANYWHERE,),
        min_length=1,
        description="Networks that reach what machines serve, and ssh, through the security "
        "groups that the stack makes. pgstead itself has to be in one of them.",
    )
    server_group: Literal["soft-anti-affinity", "anti-affinity", "none"] = Field(
        "soft-anti-affinity",
        description="How the members of a cluster are kept on hosts of their own: if it can be, "
        "strictly, or not at all.",
    )
    boot_from_volume: bool = Field(
        False, description="Whether system disks are volumes rather than the flavor's own disk."
    )
    os_size: int | None = Field(
        None, ge=1, le=65536, description="GiB of a system's volume; by default the image's least."
    )
    data_size: int | None = Field(
        None,
        ge=1,
        le=65536,
        description="GiB of the data volume of machines that hold data; by default none of their "
        "own: data lies on the system's disk, and goes with it.",
    )
    volume_type: Line | None = Field(
        None, description="The type of volumes; by default the cloud's own."
    )
    delivery: Literal["reach", "user_data"] = Field(
        "reach",
        description="How software comes to a machine. reach: by ssh, with a host key that is "
        "known beforehand; user data, which every process of a machine can read, holds the "
        "access alone. user_data: with the server, secrets too, where no ssh reaches the "
        "machines; other software then replaces them.",
    )
    config_drive: bool = Field(
        True, description="Whether servers are told their user data by a disk too."
    )
    name_prefix: str = Field(
        "",
        pattern=r"^[A-Za-z0-9_.-]{0,40}$",
        description="Stands before machines' names in the cloud, where stacks share a project.",
    )
    admin: FirstUser = Field(
        default_factory=FirstUser, description="The first user of machines that name none."
    )
    ssh_key: Location | None = Field(
        None, description="A private key to log in with; by default one that pgstead makes."
    )
    build_deadline: int = Field(
        600,
        ge=10,
        le=7200,
        description="Seconds that the cloud may take to make a server or a volume. What an "
        "interrupted run began, and the cloud has not made by then, is deleted and asked for "
        "again.",
    )
    boot_deadline: int = Field(
        300, ge=10, le=7200, description="Seconds that a machine may take until it is reached."
    )
    cloud_init_deadline: int = Field(
        900,
        ge=0,
        le=14400,
        description="Seconds that a machine's first boot may take; 0 with delivery user_data: it "
        "is not waited for, where the cloud shows no console log.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> OpenStackPlatform:
        found: list[tuple[tuple[str | int, ...], str]] = []
        if self.os_size is not None and not self.boot_from_volume:
            found.append((("os_size",), "is a volume's, and boot_from_volume is false"))
        if self.cloud_init_deadline == 0 and self.delivery != "user_data":
            found.append((("cloud_init_deadline",), "can be 0 with delivery: user_data only"))
        if found:
            raise Problems(found)
        return self
