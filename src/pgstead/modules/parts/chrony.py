"""Time synchronisation by chrony, on machines with a clock of their own."""

from __future__ import annotations

from pgstead.machine import Directory, File, OnChange, Package, Service, Software, binary, path
from pgstead.render import render
from pgstead.spec.machines import Chrony, MakeStep, TimeSource

__all__ = ["Chrony", "MakeStep", "TimeSource", "chrony_software"]

FILE = "/etc/chrony/chrony.conf"


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
