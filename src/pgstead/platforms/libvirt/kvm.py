"""Whether guests run with KVM: not by /dev/kvm, but by a guest that runs.

A host may offer KVM and accept such a domain that then hangs, or ends at its first instruction,
or is interpreted so slowly that no operating system ever boots.
"""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

import libvirt

from pgstead.caches import cache_folder, remember, remembered
from pgstead.errors import NotReady, PlatformError
from pgstead.platforms.libvirt import volumes
from pgstead.platforms.libvirt.boot_sector import SAYS, boot_sector
from pgstead.platforms.libvirt.connection import Host
from pgstead.platforms.libvirt.console import Console
from pgstead.platforms.libvirt.domain_xml import (
    OS_DEVICE,
    Domain,
    DomainDisk,
    domain_xml,
    parsed,
)
from pgstead.waiting import wait

SECONDS = 10.0
"""How long the guest may take, which needs less than one on a processor that is free."""

STALE = 3600.0
"""Seconds for which a failure is believed: the host may just have been busy."""

SAME_BOOT = 30.0
"""Seconds by which a host's time of boot may seem to differ, as it is reckoned."""

MEMORY = 32
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_HINT = "set platform.virt_type to qemu: emulation, which is many times slower"


def works(host: Host, virt_type: str, pool: str | None = None, cpu: str = "maximum") -> str | None:
    """Whether a guest of that kind, with that CPU, runs: None if it does, else why not.

    Leaves nothing behind: the domain is transient and ends with the connection.
    """
    name = f"pgstead-proof-{uuid.uuid4().hex[:12]}"
    where = pool or host.pool
    try:
        volumes.upload(host, where, name, boot_sector())
    except PlatformError as error:
        return error.message
    try:
        return _runs(host, _xml(virt_type, where, name, cpu), virt_type)
    finally:
        volumes.remove(host, where, name)


def proven(host: Host, cpu: str) -> str | None:
    """As `works` for KVM, found out once per boot of the host."""
    file = cache_folder() / "kvm.json"
    known, key, boot = remembered(file), f"{_identity(host)} {cpu}", _boot(host)
    found = known.get(key)
    if isinstance(found, dict) and _holds(found, boot):
        reason = found.get("reason")
        return None if reason is None else str(reason)
    reason = works(host, "kvm", cpu=cpu)
    remember(file, {**known, key: {"boot": boot, "reason": reason, "at": time.time()}})
    return reason


def require(host: Host, cpu: str) -> None:
    """Raises `PlatformError` where KVM was asked for and no guest runs with it."""
    reason = proven(host, cpu)
    if reason is not None:
        raise PlatformError(f"KVM does not work on {host.name}: {reason}", hint=_HINT)


def _holds(found: dict[str, Any], boot: str | float) -> bool:
    """Whether what was found out still is so."""
    then = found.get("boot")
    if isinstance(boot, float) and isinstance(then, float):
        same = abs(boot - then) < SAME_BOOT
    else:
        same = boot == then
    return same and (found.get("reason") is None or time.time() - found.get("at", 0) < STALE)


def _identity(host: Host) -> str:
    """A host's own id, whatever it is called in the stack file."""
    text = parsed(host.connection.getCapabilities()).findtext("host/uuid")
    return text or host.uri


def _boot(host: Host) -> str | float:
    """Which boot of the host this is: its id, or the time when it began, as a POSIX time.

    libvirt tells no such thing, but how long all processors were busy and idle together.
    """
    if host.is_local and _BOOT_ID.exists():
        return _BOOT_ID.read_text(encoding="utf-8").strip()
    try:
        spent = sum(host.connection.getCPUStats(libvirt.VIR_NODE_CPU_STATS_ALL_CPUS, 0).values())
        processors = int(host.connection.getInfo()[2])
    except libvirt.libvirtError:
        return str(uuid.uuid4())  # unknown: never the same
    return float(time.time() - spent / 1e9 / max(1, processors))


def _runs(host: Host, xml: str, virt_type: str) -> str | None:
    connection = host.connection
    flags = libvirt.VIR_DOMAIN_START_PAUSED | libvirt.VIR_DOMAIN_START_AUTODESTROY
    try:
        domain = connection.createXML(xml, flags)
    except libvirt.libvirtError as error:
        return str(error.get_error_message())
    console = Console(connection, domain)
    try:
        domain.resume()
        wait(
            lambda: console.says(SAYS),
            deadline=SECONDS,
            what=f"a {virt_type} guest to run on {host.name}",
        )
    except libvirt.libvirtError as error:
        return str(error.get_error_message())
    except NotReady:
        return f"libvirt starts a guest, but within {SECONDS:g} s it did not get anywhere"
    else:
        return None
    finally:
        console.close()
        _end(domain)


def _end(domain: Any) -> None:
    try:
        domain.destroy()
    except libvirt.libvirtError:
        return


def _xml(virt_type: str, pool: str, name: str, cpu: str) -> str:
    """As a machine's own domain, for what matters to its processor."""
    disk = DomainDisk(pool, name, "raw", OS_DEVICE, "proof", boot=True)
    return domain_xml(
        Domain(
            name=name,
            uuid=str(uuid.uuid4()),
            title="made by pgstead to see that a guest runs",
            memory=MEMORY,
            vcpus=1,
            virt_type=virt_type,
            disks=[disk],
            wires=[],
            cpu=cpu,
        )
    )
