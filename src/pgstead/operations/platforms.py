"""Which platform a stack stands on, and who provides each kind of its resources."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pgstead import spec
    from pgstead.engine.plan import Plan
    from pgstead.engine.resource import Data, Observed, Provider, Recorded, Resource, Steps
    from pgstead.machine import OnChange
    from pgstead.operations.session import Session
    from pgstead.platforms.base import Platform


def make(
    stack: spec.Stack,
    stack_id: str,
    file: Path,
    *,
    recorded: Callable[[], Mapping[str, Recorded]] = dict,
    secret: Callable[[str], str] = str,
) -> Platform:
    """The platform that the stack file names; only that one is imported.

    `recorded` gives what the state says was made, `secret` a password of the materials.
    """
    if stack.platform.kind == "memory":
        from pgstead.platforms.memory import MemoryPlatform, World  # noqa: PLC0415 - start-up time

        return MemoryPlatform(World(file.absolute().parent / ".pgstead" / f"{stack.name}.memory"))
    if stack.platform.kind == "local":
        from pgstead.platforms.local import LocalPlatform  # noqa: PLC0415 - start-up time

        return LocalPlatform(stack.platform, stack.name, stack_id)
    of_guests = _libvirt() if stack.platform.kind == "libvirt" else _openstack()
    return of_guests(
        stack.platform,
        stack.name,
        stack_id,
        secret=secret,
        folder=folder_of(stack, file),
        recorded=recorded,
    )


def _libvirt() -> Callable[..., Platform]:
    build = "; libvirt-python is built with the packages libvirt-dev, pkg-config and a compiler"
    with _installed("libvirt", build):
        from pgstead.platforms.libvirt import LibvirtPlatform  # noqa: PLC0415 - may be missing
    return LibvirtPlatform


def _openstack() -> Callable[..., Platform]:
    with _installed("openstack"):
        from pgstead.platforms.openstack import OpenStackPlatform  # noqa: PLC0415 - may be missing
    return OpenStackPlatform


@contextmanager
def _installed(kind: str, more: str = "") -> Iterator[None]:
    """Raises `MissingSoftware` if a package is missing; `more` ends the hint."""
    try:
        yield
    except ModuleNotFoundError as error:
        from pgstead.errors import MissingSoftware  # noqa: PLC0415 - start-up time

        raise MissingSoftware(
            f"the Python package {error.name} is not installed, which the platform {kind} needs",
            hint=f"pip install 'pgstead[{kind}]'{more}",
        ) from None


def spare(stack: spec.Stack) -> frozenset[str]:
    """Materials that a stack can do without: the SSH keys of machines that no ssh enters."""
    from pgstead.platforms.guests.keys import MATERIAL  # noqa: PLC0415 - start-up time
    from pgstead.spec.libvirt import LibvirtPlatform  # noqa: PLC0415
    from pgstead.spec.openstack import OpenStackPlatform  # noqa: PLC0415

    settings = stack.platform
    closed = (isinstance(settings, LibvirtPlatform) and settings.reach != "ssh") or (
        isinstance(settings, OpenStackPlatform) and settings.delivery != "reach"
    )
    return frozenset((f"password/{MATERIAL}",) if closed else ())


def folder_of(stack: spec.Stack, file: Path) -> Path:
    """Where what belongs to the stack is kept, beside its state."""
    return file.absolute().parent / ".pgstead" / stack.name


def providers(session: Session) -> Mapping[str, Provider]:
    """By kind of resource; on the memory platform one of them stands for all servers too."""
    from pgstead.clusters.etcd import EtcdProvider  # noqa: PLC0415 - start-up time
    from pgstead.clusters.groups import group  # noqa: PLC0415
    from pgstead.clusters.machines import MachineProvider  # noqa: PLC0415
    from pgstead.clusters.patroni import PatroniProvider  # noqa: PLC0415
    from pgstead.clusters.postgres import PostgresProvider  # noqa: PLC0415

    platform, digest = session.platform, session.materials.digest
    if (fake := _fake(platform)) is not None:
        return fake
    machines, recorded = session.machines, session.state.recorded()
    groups, previous = group(machines), session.materials.server_passwords
    return {
        "machine": MachineProvider(
            platform, machines, digest, recorded=recorded, previous=previous
        ),
        "etcd": EtcdProvider(groups.etcd, digest, recorded=recorded, previous=previous),
        "patroni": PatroniProvider(groups.patroni, platform, recorded=recorded),
        "postgres": PostgresProvider(
            groups, platform, digest, recorded=recorded, previous=previous
        ),
    }


def leaders(session: Session) -> frozenset[str]:
    """The addresses of machines that lead now, to be disturbed last."""
    from pgstead.clusters import health  # noqa: PLC0415 - start-up time

    return health.leaders(session.machines) if _fake(session.platform) is None else frozenset()


def check_renewed(session: Session, plan: Plan, recreate: Collection[str]) -> None:
    """Raise `Refused` if what depends on a cluster that begins anew could lose rows."""
    from pgstead.clusters import renewing  # noqa: PLC0415 - seldom
    from pgstead.clusters.groups import group  # noqa: PLC0415

    if _fake(session.platform) is None:
        renewing.check(group(session.machines), plan, recreate)


def removers(session: Session) -> Mapping[str, Provider]:
    """Who removes a whole stack: machines, and with them all that was inside.

    No member leaves its cluster on the way, since the cluster itself goes.
    """
    from pgstead.clusters.machines import MachineProvider  # noqa: PLC0415 - start-up time

    platform = session.platform
    if (fake := _fake(platform)) is not None:
        return fake
    machines = MachineProvider(platform, (), session.materials.digest, recorded={})
    inside = Inside()
    return {"machine": machines, "etcd": inside, "patroni": inside, "postgres": inside}


class Inside:
    """What lives inside machines and goes with them."""

    def observe(self, targets: Mapping[str, Resource | Recorded]) -> Mapping[str, Observed]:
        """Nothing of its own is there."""
        return dict.fromkeys(targets)

    def create(self, resource: Resource, *, recorded: Recorded | None) -> Steps:
        """Nothing is made while a stack is removed."""
        raise NotImplementedError(resource.address, recorded)

    def update(self, resource: Resource, changed: Mapping[str, OnChange]) -> Steps:
        """Nothing is changed while a stack is removed."""
        raise NotImplementedError(resource.address, changed)

    def replace(self, resource: Resource, recorded: Recorded) -> Steps:
        """Nothing is made while a stack is removed."""
        raise NotImplementedError(resource.address, recorded)

    def delete(self, recorded: Recorded, *, data: Data) -> Steps:
        """It goes with its machines."""
        del recorded, data
        yield from ()


def _fake(platform: Platform) -> Mapping[str, Provider] | None:
    if platform.kind != "memory":
        return None
    from pgstead.platforms.memory import MemoryPlatform  # noqa: PLC0415 - seldom

    assert isinstance(platform, MemoryPlatform)  # noqa: S101 - `make` made it
    return dict.fromkeys(("machine", "etcd", "patroni", "postgres"), platform.provider)
