"""The partitions, numbered and placed as in Debian's cloud images: the root last, so it grows.

A GPT with the root file system as partition 1, GRUB's second stage for BIOS as 14 and the
EFI system partition as 15. growpart extends partition 1 to the end of a larger disk.
"""

from __future__ import annotations

from dataclasses import dataclass

from pgstead.image.recipe import Recipe

SECTOR = 512
MIB = 1024**2 // SECTOR
"""Sectors in a MiB."""

LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"
EFI_SYSTEM = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition: number, first sector, length in sectors, type."""

    number: int
    start: int
    sectors: int
    kind: str

    @property
    def offset(self) -> int:
        """Bytes from the start of the disk."""
        return self.start * SECTOR

    @property
    def size(self) -> int:
        """Bytes."""
        return self.sectors * SECTOR


@dataclass(frozen=True, slots=True)
class Layout:
    """The disk's partitions. `sectors` is the length of the disk."""

    sectors: int
    root: Partition
    bios: Partition
    efi: Partition

    @property
    def size(self) -> int:
        """Bytes of the whole disk."""
        return self.sectors * SECTOR


def layout(gib: int) -> Layout:
    """The layout of a disk of that many GiB."""
    sectors = gib * 1024 * MIB
    start = 128 * MIB
    return Layout(
        sectors=sectors,
        # The last MiB is left to the second copy of the partition table.
        root=Partition(1, start, sectors - start - MIB, LINUX),
        bios=Partition(14, 1 * MIB, 3 * MIB, BIOS_BOOT),
        efi=Partition(15, 4 * MIB, 124 * MIB, EFI_SYSTEM),
    )


def table(plan: Layout, recipe: Recipe) -> str:
    """The partition table as sfdisk(8) reads it."""
    head = f"label: gpt\nlabel-id: {recipe.identifier('disk')}\nfirst-lba: {MIB}\n"
    return head + "".join(
        f"/dev/image{part.number}: start={part.start}, size={part.sectors}, type={part.kind}, "
        f"uuid={recipe.identifier(f'partition {part.number}')}\n"
        for part in (plan.root, plan.bios, plan.efi)
    )
