"""What the OpenStack platform lacks, here and in its cloud, and how it is put right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from pgstead import programs
from pgstead.errors import PgsteadError
from pgstead.platforms.finding import Finding, program_finding
from pgstead.platforms.openstack.catalog import Catalog
from pgstead.platforms.openstack.connection import Cloud, Connect
from pgstead.platforms.openstack.errors import CREDENTIALS, explained
from pgstead.spec.openstack import OpenStackPlatform as Settings

SERVERS = 7
"""What the smallest whole cluster takes: three of etcd, three of PostgreSQL, a load balancer."""

UNLIMITED = -1


def doctor(settings: Settings, connect: Connect | None = None) -> list[Finding]:
    """Everything that machines in that cloud need, what is fine included."""
    cloud = Cloud(settings, connect)
    try:
        found: list[Finding] = []
        if settings.delivery == "reach":
            found += [program_finding(*each) for each in programs.SSH.items()]
        services = list(_services(cloud))
        found += services
        if all(one.ok for one in services):
            found += _named(settings, Catalog(cloud))
            found += _quotas(cloud)
        return found
    finally:
        cloud.close()


def _services(cloud: Cloud) -> Iterator[Finding]:
    """Whether we are let in, and every service that is needed answers."""
    try:
        with explained("credentials"):
            cloud.connection.authorize()
    except PgsteadError as error:
        yield Finding("credentials", False, error.message, hint=error.hint or CREDENTIALS)
        return
    yield Finding("credentials", True, f"accepted, for the project {cloud.project}")
    asked: dict[str, Callable[[], Any]] = {
        "compute (nova)": lambda: next(iter(cloud.compute.flavors(limit=1)), None),
        "network (neutron)": lambda: next(iter(cloud.network.networks(limit=1)), None),
        "image (glance)": lambda: next(iter(cloud.image.images(limit=1)), None),
        "block storage (cinder)": lambda: next(iter(cloud.block_storage.volumes(limit=1)), None),
    }
    for name, ask in asked.items():
        yield _tried(name, name, ask)


def _tried(name: str, what: str, ask: Callable[[], Any]) -> Finding:
    try:
        with explained(what):
            found = ask()
    except PgsteadError as error:
        return Finding(name, False, error.message, hint=error.hint)
    return Finding(name, True, "answers" if name == what else f"found: {found}")


def _named(settings: Settings, catalog: Catalog) -> Iterator[Finding]:
    """What the stack file names; a network that it leaves out has to be the only one."""
    network = settings.network
    looks: dict[str, Callable[[], Any]] = {
        f"network {network or '(the only one)'}": lambda: catalog.network(network).name,
        f"subnet {settings.subnet or '(the only one)'}": lambda: (
            catalog.subnet(catalog.network(network), settings.subnet).cidr
        ),
    }
    if (image := settings.image) is not None:
        looks[f"image {image}"] = lambda: catalog.image(image).id
    if (flavor := settings.flavor) is not None:
        looks[f"flavor {flavor}"] = lambda: catalog.flavor(flavor).id
    if (pair := settings.key_pair) is not None:
        looks[f"key pair {pair}"] = lambda: catalog.key_pair(pair)
    for group in settings.security_groups or ():
        looks[f"security group {group}"] = partial(catalog.security_group, group)
    for name, look in looks.items():
        yield _tried(name, f"look for the {name}", look)


def _quotas(cloud: Cloud) -> Iterator[Finding]:
    """Whether a whole cluster has room in the project."""
    try:
        with explained("quotas"):
            limits = cloud.compute.get_limits().absolute
    except PgsteadError as error:
        yield Finding("quota of servers", False, error.message, hint=error.hint)
        return
    most, used = int(limits.instances or UNLIMITED), int(limits.instances_used or 0)
    if most == UNLIMITED:
        yield Finding("quota of servers", True, "unlimited")
        return
    left = most - used
    yield Finding(
        "quota of servers",
        left >= SERVERS,
        f"{left} more of {most}",
        hint=None
        if left >= SERVERS
        else f"a whole cluster takes {SERVERS}: ask the cloud's operators for a higher quota",
    )
