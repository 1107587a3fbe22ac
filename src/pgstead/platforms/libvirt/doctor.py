"""What the libvirt platform lacks, here and on its hosts, and how it is put right."""

from __future__ import annotations

import pwd
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pgstead import programs
from pgstead.errors import PgsteadError
from pgstead.platforms.finding import Finding, program_finding
from pgstead.platforms.libvirt import kvm, networks, volumes
from pgstead.platforms.libvirt.connection import Host, Hosts
from pgstead.platforms.libvirt.domain_xml import parsed
from pgstead.platforms.libvirt.drivers import driver_of
from pgstead.platforms.libvirt.errors import explained
from pgstead.platforms.libvirt.platform import hosts_of
from pgstead.spec.libvirt import LibvirtPlatform as Settings

LEAST_FREE = 10 * 1024**3
"""Bytes free in a pool below which no machine is made light-heartedly."""

EMULATOR = "libvirt-qemu"
"""The user that Debian's and Ubuntu's libvirt runs emulators as."""

_START = "systemctl enable --now libvirtd; as another user than root, join the group libvirt"
_KVM_HINT = (
    "switch virtualization on in the firmware, or pass it on to this virtual machine; until then"
    " platform.virt_type: qemu emulates, which is many times slower"
)


def doctor(settings: Settings) -> list[Finding]:
    """Everything that machines on those hosts need, what is fine included."""
    found: list[Finding] = []
    if settings.reach == "ssh":
        found += [program_finding(*each) for each in programs.SSH.items()]
    hosts = Hosts(hosts_of(settings))
    if any(host.is_local and driver_of(host).own_kernel for host in hosts):
        found += [program_finding(*each) for each in programs.OF_A_HOST.items()]
    for host in hosts:
        found += _host(host, settings)
    return found


def _host(host: Host, settings: Settings) -> Iterator[Finding]:
    """One that is down has nothing more to be looked at."""
    try:
        version = _version(host.connection.getLibVersion())
    except PgsteadError as error:
        hint = _START if host.is_local else error.hint
        yield Finding(f"libvirt of {host.name}", False, error.message, hint=hint)
        return
    yield Finding(f"libvirt of {host.name}", True, "answers", version, host.uri)
    yield from _pool(host, settings)
    if host.macvtap is None and (host.network or "default") not in settings.networks:
        name = host.network or "default"
        yield _tried(f"network {name} of {host.name}", lambda: _network(host, name))
    if host.image is not None and not Path(host.image).is_file():
        image = host.image
        yield _tried(f"image of {host.name}", lambda: volumes.existing(host, host.pool, image).path)
    if driver_of(host).own_kernel and settings.virt_type != "qemu":
        yield _kvm(host, settings)


def _version(number: int) -> str:
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


def _tried(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, "found", path=look())
    except PgsteadError as error:
        return Finding(name, False, error.message, hint=error.hint)


def _network(host: Host, name: str) -> str:
    found = networks.find(host, name)
    with explained(f"network {name}", host.name):
        return str(found.bridgeName())


def _pool(host: Host, settings: Settings) -> Iterator[Finding]:
    """The storage pool: there, with room, and open to the emulator's user."""
    name = f"pool {host.pool} of {host.name}"
    if host.pool in settings.pools:
        folder = settings.pools[host.pool].path
        yield Finding(name, True, "is made by `pgstead up`", path=folder)
    else:
        try:
            there = volumes.pool(host, host.pool)
        except PgsteadError as error:
            yield Finding(name, False, error.message, hint=error.hint)
            return
        folder = parsed(there.XMLDesc()).findtext("target/path") or ""
        yield _room(name, there, folder)
    if host.is_local and folder.startswith("/") and driver_of(host).own_kernel:
        yield _way(f"way to the {name}", Path(folder))


def _room(name: str, there: Any, folder: str) -> Finding:
    free = int(there.info()[3])
    words = f"{free / volumes.GIB:.1f} GiB free"
    hint = None if free >= LEAST_FREE else "free some space, or name another pool in platform.pool"
    return Finding(name, free >= LEAST_FREE, words, path=folder, hint=hint)


def _way(name: str, folder: Path) -> Finding:
    """Whether the emulator's user may enter every folder down to the pool."""
    closed = barrier(folder, EMULATOR)
    if closed is None:
        return Finding(name, True, "the emulator's user may enter it", path=str(folder))
    return Finding(
        name,
        False,
        f"user {EMULATOR}, whom emulators run as, may not enter {closed}",
        path=str(folder),
        hint=f"chmod o+x {closed}, or have the pool in another folder",
    )


def barrier(folder: Path, user: str) -> Path | None:
    """The first folder on the way that this user may not enter, the last one included.

    A user that is not there is any other one. What is not there yet bars nobody.
    """
    try:
        account = pwd.getpwnam(user)
        uid, gid = account.pw_uid, account.pw_gid
    except KeyError:
        uid, gid = -1, -1
    for each in (*reversed(folder.parents), folder):
        try:
            status = each.stat()
        except OSError:
            return None
        bit = 0o100 if status.st_uid == uid else 0o010 if status.st_gid == gid else 0o001
        if not status.st_mode & bit:
            return each
    return None


def _kvm(host: Host, settings: Settings) -> Finding:
    """By a guest that runs; it needs a pool to be started from."""
    name = f"KVM of {host.name}"
    cpu = settings.cpu or "host-passthrough"
    try:
        reason = kvm.proven(host, cpu)
    except PgsteadError as error:
        return Finding(name, False, error.message, hint=error.hint)
    if reason is None:
        return Finding(name, True, f"a guest runs ({cpu})")
    return Finding(name, False, reason, hint=_KVM_HINT)
