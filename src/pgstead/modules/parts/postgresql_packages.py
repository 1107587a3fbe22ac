"""PostgreSQL from packages on a guest: the distribution's, or PostgreSQL's own repository."""

from __future__ import annotations

from pgstead.machine import Command, Package, Software, path
from pgstead.modules.base import Context
from pgstead.modules.parts.scripts import DONE, call, folders, script
from pgstead.spec.machines import PackageSource

__all__ = ["PackageSource", "postgresql_packages"]


def postgresql_packages(
    context: Context, source: PackageSource, *packages: Package, install: bool
) -> Software:
    """The packages, from that repository; nothing for an image that holds them."""
    if not install:
        return Software()
    if source == "distribution" or context.facts.shares_kernel:
        return Software(packages=packages)
    return _from_postgresql(packages)


def _from_postgresql(wanted: tuple[Package, ...]) -> Software:
    """The packages by a script, which first has apt know the repository.

    Its key comes with the distribution's package postgresql-common.
    """
    words = [f"{one.name}={one.version}*" if one.version else one.name for one in wanted]
    named = (f"{one.name}-{one.version}" if one.version else one.name for one in wanted)
    done = f"{DONE}/{'+'.join(named)}"
    service = next((one.service for one in wanted if one.version), None)
    return Software(
        packages=(Package("ca-certificates"), Package("postgresql-common")),
        directories=folders(),
        files=(script("pgstead.modules.parts", "install-from-postgresql.j2", done=path(done)),),
        setup=(
            Command(
                "postgresql-packages",
                call("install-from-postgresql", *words),
                creates=done,
                service=service,
            ),
        ),
    )
