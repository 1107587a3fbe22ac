"""Time synchronisation by chrony, on machines with a clock of their own."""

from __future__ import annotations

from pydantic import Field

from pgstead.machine import Directory, File, OnChange, Package, Service, Software, binary, path
from pgstead.modules.parts.model import Line, Many, Model
from pgstead.render import render

__all__ = ["Chrony", "MakeStep", "TimeSource", "chrony_software"]

FILE = "/etc/chrony/chrony.conf"


class TimeSource(Model):
    """An NTP server, or a pool of them."""

    url: str = Field(min_length=1, pattern=r"^\S+$", description="Host name or address.")
    options: Many[Line] = Field(
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
    servers: Many[TimeSource] = Field(default=(), description="NTP servers.")
    pools: Many[TimeSource] = Field(default=(), description="Pools of NTP servers.")
    makestep: MakeStep = Field(
        default_factory=MakeStep, description="When to step the clock instead of slewing it."
    )


def chrony_software(variables: Chrony, *, install: bool) -> Software:
    """The software of a machine with chrony; nothing if it is not enabled."""
    if not variables.enabled:
        return Software()
    text = render("pgstead.modules.parts", "chrony.conf.j2", chrony=variables)
    return Software(
        packages=(Package("chrony"),) if install else (),
        directories=(Directory("/etc/chrony", mode=0o755),),
        files=(File(FILE, text, mode=0o644, on_change=OnChange.RESTART, service="chrony"),),
        services=(Service("chrony", (binary("chronyd"), "-d", "-f", path(FILE)), guest_only=True),),
    )
