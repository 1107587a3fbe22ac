"""The programs that building an image takes, and the packages that hold them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pgstead.errors import MissingSoftware, PlatformError

PROGRAMS = {
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
}

GRUB = Path("/usr/lib/grub")
BOOT_IMAGES = {
    GRUB / "i386-pc" / "boot.img": "grub-pc-bin",
    GRUB / "x86_64-efi" / "kernel.img": "grub-efi-amd64-bin",
}

SUBORDINATE = Path("/etc/subuid")
"""Ranges of user ids that users may give out (subuid(5))."""

SYSTEM_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
"""Where programs are looked for; users other than root lack the last two."""


def missing() -> dict[str, str]:
    """What is not installed: its name or path -> Debian's package."""
    programs = {
        name: package
        for name, package in PROGRAMS.items()
        if shutil.which(name, path=SYSTEM_PATH) is None
    }
    files = {str(path): package for path, package in BOOT_IMAGES.items() if not path.exists()}
    return programs | files


def program(name: str) -> str:
    """The path of a program. Raises `MissingSoftware` if it is not installed."""
    path = shutil.which(name, path=SYSTEM_PATH)
    if path is None:
        raise _lacking({name: PROGRAMS[name]})
    return path


def require_tools() -> None:
    """Raise `MissingSoftware` that names everything that is not installed, at once."""
    lacking = missing()
    if lacking:
        raise _lacking(lacking)


def require_rights() -> None:
    """Raise `PlatformError` if files of other users cannot be made: no root, no namespaces."""
    if os.geteuid() == 0:
        return
    if shutil.which("newuidmap", path=SYSTEM_PATH) is None:
        raise MissingSoftware(
            "building an image without root needs user namespaces, and newuidmap is not installed",
            hint="run as root, or `apt-get install uidmap`",
        )
    name = _own_name()
    if not _has_range(SUBORDINATE, name):
        raise PlatformError(
            f"building an image without root needs user namespaces, and user {name} has no range"
            f" of user ids in {SUBORDINATE}",
            hint=f"run as root, or `usermod --add-subuids 100000-165535"
            f" --add-subgids 100000-165535 {name}`",
        )


def _own_name() -> str:
    import pwd  # noqa: PLC0415 - not needed by root

    return pwd.getpwuid(os.geteuid()).pw_name


def _has_range(path: Path, name: str) -> bool:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return any(line.split(":", 1)[0] in (name, str(os.geteuid())) for line in lines)


def _lacking(what: dict[str, str]) -> MissingSoftware:
    packages = " ".join(sorted(set(what.values())))
    return MissingSoftware(
        f"building an image needs what is not installed: {', '.join(sorted(what))}",
        hint=f"apt-get install --no-install-recommends {packages}",
    )
