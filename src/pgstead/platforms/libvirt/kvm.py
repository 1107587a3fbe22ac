"""Whether guests run with KVM: not by /dev/kvm, but by a guest that runs.

A host may offer KVM and accept such a domain that then never executes an instruction.
"""

from __future__ import annotations

import uuid
from typing import Any

import libvirt

from pgstead.errors import NotReady, PlatformError
from pgstead.platforms.libvirt import volumes
from pgstead.platforms.libvirt.connection import Host
from pgstead.platforms.libvirt.console import Console
from pgstead.waiting import wait

SECONDS = 10.0
"""How long the guest may take, which needs less than one."""

SAYS = "pgstead runs"
DISK_BYTES = 1024 * 1024
_HINT = "set platform.virt_type to qemu: emulation, which is many times slower"


def boot_sector(text: str = SAYS) -> bytes:
    """A boot sector for BIOS that writes `text` to the first serial port, and halts.

    16-bit code at 0x7c00: the text's address into SI, the port 0x3f8 into DX; for each
    byte until a 0, wait for bit 5 of the line status register, then OUT; then CLI, HLT.
    """
    code = bytes.fromhex(
        "fafc"  # cli; cld
        "31c0 8ed8"  # xor ax, ax; mov ds, ax
        "be237c"  # mov si, 0x7c23 (the text)
        "ac 84c0 7412"  # next: lodsb; test al, al; jz end
        "88c4"  # mov ah, al
        "bafd03"  # mov dx, 0x3fd
        "ec a820 74fb"  # ready: in al, dx; test al, 0x20; jz ready
        "88e0"  # mov al, ah
        "baf803 ee"  # mov dx, 0x3f8; out dx, al
        "ebe9"  # jmp next
        "f4 ebfd"  # end: hlt; jmp end
    )
    content = code.ljust(0x23, b"\x90") + text.encode() + b"\r\n\x00"
    # As large as a disk: a BIOS passes over one of a single sector.
    return (content.ljust(510, b"\x00") + b"\x55\xaa").ljust(DISK_BYTES, b"\x00")


def works(host: Host, virt_type: str, pool: str | None = None) -> str | None:
    """Whether a guest of that kind runs: None if it does, else why not.

    Leaves nothing behind: the domain is transient and ends with the connection.
    """
    name = f"pgstead-proof-{uuid.uuid4().hex[:12]}"
    where = pool or host.pool
    try:
        volumes.upload(host, where, name, boot_sector())
    except PlatformError as error:
        return error.message
    try:
        return _runs(host, virt_type, where, name)
    finally:
        volumes.remove(host, where, name)


def require(host: Host) -> None:
    """Raises `PlatformError` where KVM was asked for and no guest runs with it."""
    reason = works(host, "kvm")
    if reason is not None:
        raise PlatformError(f"KVM does not work on {host.name}: {reason}", hint=_HINT)


def _runs(host: Host, virt_type: str, pool: str, name: str) -> str | None:
    connection = host.connection
    flags = libvirt.VIR_DOMAIN_START_PAUSED | libvirt.VIR_DOMAIN_START_AUTODESTROY
    try:
        domain = connection.createXML(_xml(virt_type, pool, name), flags)
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
        return f"libvirt starts a guest, but within {SECONDS:g} s it did nothing"
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


def _xml(virt_type: str, pool: str, name: str) -> str:
    return (
        f"<domain type='{virt_type}'><name>{name}</name><memory unit='MiB'>32</memory>"
        "<vcpu>1</vcpu><os><type>hvm</type><boot dev='hd'/></os><features><acpi/></features>"
        "<devices><disk type='volume' device='disk'><driver name='qemu' type='raw'/>"
        f"<source pool='{pool}' volume='{name}'/><target dev='vda' bus='virtio'/><readonly/></disk>"
        "<serial type='pty'><target port='0'/></serial>"
        "<console type='pty'><target type='serial' port='0'/></console>"
        "<memballoon model='none'/></devices></domain>"
    )
