"""Programs and files of the system that pgstead needs, and Debian's packages that hold them.

Only what Python itself brings is imported here: `scripts/packages.py` reads it before anything
is installed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

__all__ = [
    "GRUB",
    "OF_AN_IMAGE",
    "OF_A_HOST",
    "SSH",
    "SYSTEM_PATH",
    "find",
    "missing",
]

SYSTEM_PATH = os.pathsep.join(
    (os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin")
)
"""Where programs are looked for; users other than root lack the last ones."""

SSH = {"ssh": "openssh-client"}

OF_A_HOST = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "libvirtd": "libvirt-daemon-system",
    "dnsmasq": "dnsmasq-base",
}
"""What makes a machine a host of libvirt."""

GRUB = Path("/usr/lib/grub")

OF_AN_IMAGE = {
    "apt-get": "apt",
    "dpkg": "dpkg",
    "grub-mkimage": "grub-common",
    "mcopy": "mtools",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.vfat": "dosfstools",
    "mmd": "mtools",
    "mmdebstrap": "mmdebstrap",
    "qemu-img": "qemu-utils",
    "sfdisk": "fdisk",
    "unshare": "util-linux",
    f"{GRUB}/i386-pc/boot.img": "grub-pc-bin",
    f"{GRUB}/x86_64-efi/kernel.img": "grub-efi-amd64-bin",
}
"""What building a machine image takes."""


def find(name: str) -> str | None:
    """The path of a program by its name, or of a file by its path; None if it is not there."""
    if "/" in name:
        return name if Path(name).exists() else None
    return shutil.which(name, path=SYSTEM_PATH)


def missing(wanted: Mapping[str, str]) -> dict[str, str]:
    """Those of the programs and files, each with its package, that are not there."""
    return {name: package for name, package in wanted.items() if find(name) is None}
