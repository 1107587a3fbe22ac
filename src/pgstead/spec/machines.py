"""What a cluster in its short form says of its machines, where they have a kernel of their own.

The models that modules have as well are defined here, and used there.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from pgstead.spec.models import Line, Model, Port


class TimeSource(Model):
    """An NTP server, or a pool of them."""

    url: str = Field(min_length=1, pattern=r"^\S+$", description="Host name or address.")
    options: tuple[Line, ...] = Field(
        default=(), description="Options as in chrony.conf, e.g. iburst or 'maxpoll 6'."
    )


class MakeStep(Model):
    """When a clock that is far off is set at once instead of slowly."""

    threshold: int | float = Field(
        default=0, ge=0, description="Step the clock if it is off by more than this, in seconds."
    )
    limit: int = Field(
        default=0, description="In the first so many updates only; negative: at any time; 0: never."
    )


class Chrony(Model):
    """Time synchronisation; when it is not enabled, the image's own stays as it is."""

    enabled: bool = Field(default=False, description="Whether to install and configure chrony.")
    servers: tuple[TimeSource, ...] = Field(default=(), description="NTP servers.")
    pools: tuple[TimeSource, ...] = Field(default=(), description="Pools of NTP servers.")
    makestep: MakeStep = Field(
        default_factory=MakeStep, description="When to step the clock instead of slewing it."
    )


class NodeExporter(Model):
    """The machine's metrics: plain HTTP, on the machine's first address alone."""

    enabled: bool = Field(default=True, description="Whether there are any.")
    port: Port = Field(default=9100, description="Port that they are served on.")


class Download(Model):
    """An archive (.tar.gz) of programs, all in its one folder."""

    url: Line = Field(pattern=r"^https://\S+$", description="Where the archive is.")
    sha256: str = Field(
        pattern=r"^[0-9a-f]{64}$", description="Its SHA-256 checksum, in hexadecimal."
    )


PackageSource = Literal["distribution", "postgresql"]
"""Whose packages are installed: the distribution's, or those of PostgreSQL's own repository."""

PatroniInstall = Literal["venv", "package"]
Watchdog = Literal["softdog", "i6300esb", "off"]

_OS_SIZE = 10
"""GiB: a server's programs and logs; a thin disk takes room only as it fills."""


class Sizes(Model):
    """A machine's size, where machines are virtual ones."""

    vcpus: int = Field(2, ge=1, le=1024, description="Processors of each machine.")
    memory: int = Field(2048, ge=128, description="Memory of each machine, in MiB.")
    os_size: int | None = Field(
        None,
        ge=1,
        le=65536,
        description="Size of the system's disk, in GiB; by default platform.os_size, or "
        f"{_OS_SIZE} GiB.",
    )
    image: Line | None = Field(
        None, description="What that disk is cloned from; by default platform.image."
    )
    pool: Line | None = Field(
        None, description="Storage pool of the disks; by default the platform's."
    )
    flavor: Line | None = Field(
        None, description="Size of each machine in a cloud; by default platform.flavor."
    )
    availability_zones: tuple[Line, ...] = Field(
        (),
        description="Zones of a cloud that the machines are spread over, in their order; by "
        "default platform.availability_zones.",
    )
    boot_from_volume: bool | None = Field(
        None,
        description="Whether a cloud keeps the system on a volume, of os_size GiB; by default "
        "platform.boot_from_volume.",
    )
    volume_type: Line | None = Field(
        None, description="Type of volumes in a cloud; by default platform.volume_type."
    )


def _data_size(default: str) -> Any:
    """The field of a data disk's size; `default` says what it is where nobody does."""
    return Field(
        None,
        ge=0,
        le=65536,
        description="Size of the data disk, in GiB; 0: none, data lies on the system's disk. By "
        f"default platform.data_size, or {default}.",
    )


class EtcdMachine(Sizes):
    """An etcd member's machine, where machines are virtual ones."""

    data_size: int | None = _data_size("twice space_quota and 2 GiB: defragmenting copies")


class PostgresMachine(Sizes):
    """A PostgreSQL server's machine, where machines are virtual ones."""

    memory: int = Field(4096, ge=128, description="Memory of each machine, in MiB.")
    data_size: int | None = _data_size("20 GiB")


class BalancerMachine(Sizes):
    """A load balancer's machine, where machines are virtual ones."""

    vcpus: int = Field(1, ge=1, le=1024, description="Processors of each machine.")
    memory: int = Field(1024, ge=128, description="Memory of each machine, in MiB.")


class Machines(Model):
    """What all machines of a cluster have alike, where they are virtual ones."""

    chrony: Chrony = Field(default_factory=Chrony, description="Time synchronisation.")
    node_exporter: NodeExporter = Field(
        default_factory=NodeExporter, description="The machines' metrics for Prometheus."
    )
    install_dependencies: bool = Field(
        True,
        description="Whether to install packages; false for images that hold everything.",
    )
    autostart: bool = Field(
        True, description="Whether the machines start together with their hosts."
    )


def os_size(given: Sizes, platform: int | None) -> int:
    """GiB of a system's disk: the role's own, the platform's, or the default."""
    return given.os_size or platform or _OS_SIZE


def data_size(given: EtcdMachine | PostgresMachine, platform: int | None, default: int) -> int:
    """GiB of a data disk: the role's own, the platform's, or that default; 0 for none."""
    own = given.data_size if given.data_size is not None else platform
    return default if own is None else own
