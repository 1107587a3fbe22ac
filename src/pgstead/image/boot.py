"""What firmware starts: GRUB for BIOS and for UEFI, put in place without a loop device.

grub-install wants a block device. The two block lists that it would write are at fixed
places, given by GRUB's own sources (include/grub/i386/pc/boot.h):

- boot.img, the first sector: at 0x5c the sector of the second stage, 8 bytes; at 0x66 a jump
  that is needed for floppy disks alone, replaced by two no-operations; the rest, from 0x1b8,
  belongs to the partition table.
- core.img, the second stage: the last 12 bytes of its first sector say where the rest of it
  begins (8 bytes), how many sectors it has (2) and the segment it is loaded to (2).
"""

from __future__ import annotations

import struct
from pathlib import Path

from pgstead.errors import PlatformError
from pgstead.image.layout import SECTOR, Layout, Partition
from pgstead.image.overlay import EFI_LABEL, GRUB_CONFIG, ROOT_LABEL
from pgstead.image.recipe import Recipe
from pgstead.image.tools import program
from pgstead.programs import GRUB
from pgstead.run import run

KERNEL_SECTOR = 0x5C
DRIVE_CHECK = 0x66
TABLE = 0x1B8
"""Where the disk's signature and the partition table of the first sector begin."""

BLOCK_LIST = SECTOR - 12

MODULES = (
    *("part_gpt", "ext2", "fat", "search", "search_label", "normal", "configfile"),
    *("linux", "serial", "terminal", "echo", "test", "reboot", "halt"),
)

EARLY = f"""\
search --no-floppy --label {ROOT_LABEL} --set=root
set prefix=($root)/boot/grub
configfile /{GRUB_CONFIG}
"""


def install_boot(disk: Path, plan: Layout, recipe: Recipe, folder: Path) -> None:
    """Make the disk image boot under BIOS and UEFI; `folder` takes intermediate files."""
    early = folder / "early.cfg"
    early.write_text(EARLY, encoding="ascii")
    core = _grub("i386-pc", folder / "core.img", early, "biosdisk")
    _install_bios(disk, plan.bios, core)
    efi = _grub("x86_64-efi", folder / "BOOTX64.EFI", early)
    _install_efi(disk, plan.efi, efi, recipe, folder)


def patched_boot(boot: bytes, first: bytes, sector: int) -> bytes:
    """The disk's first sector: GRUB's first stage, with the partition table that is in `first`.

    `sector` is where the second stage begins.
    """
    code = bytearray(boot[:SECTOR])
    struct.pack_into("<Q", code, KERNEL_SECTOR, sector)
    code[DRIVE_CHECK : DRIVE_CHECK + 2] = b"\x90\x90"
    code[TABLE:] = first[TABLE:SECTOR]
    return bytes(code)


def patched_core(core: bytes, sector: int) -> bytes:
    """The second stage, in one piece from `sector` on."""
    code = bytearray(core)
    following = -(-len(core) // SECTOR) - 1
    struct.pack_into("<QH", code, BLOCK_LIST, sector + 1, following)
    return bytes(code)


def _install_bios(disk: Path, place: Partition, core_image: Path) -> None:
    boot = (GRUB / "i386-pc" / "boot.img").read_bytes()
    core = patched_core(core_image.read_bytes(), place.start)
    if len(core) > place.size:
        raise PlatformError(f"GRUB's second stage has {len(core)} bytes, and {place.size} fit")
    with disk.open("r+b") as file:
        first = file.read(SECTOR)
        file.seek(0)
        file.write(patched_boot(boot, first, place.start))
        file.seek(place.offset)
        file.write(core)


def _install_efi(disk: Path, place: Partition, grub: Path, recipe: Recipe, folder: Path) -> None:
    system = folder / "efi.img"
    with system.open("wb") as file:
        file.truncate(place.size)
    volume = f"{recipe.identifier('efi').int & 0xFFFFFFFF:08x}"
    run([program("mkfs.vfat"), "-F", "32", "-n", EFI_LABEL, "-i", volume, system])
    run([program("mmd"), "-i", system, "::/EFI", "::/EFI/BOOT"])
    run([program("mcopy"), "-i", system, grub, "::/EFI/BOOT/BOOTX64.EFI"])
    with disk.open("r+b") as file:
        file.seek(place.offset)
        file.write(system.read_bytes())


def _grub(target: str, path: Path, early: Path, *more: str) -> Path:
    words: list[str | Path] = [
        "-O",
        target,
        "-p",
        "/boot/grub",
        "-c",
        early,
        "-o",
        path,
        *more,
        *MODULES,
    ]
    run([program("grub-mkimage"), *words])
    return path
