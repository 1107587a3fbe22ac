"""From a root file system to a qcow2: partition table, file system, compression."""

from __future__ import annotations

import os
from pathlib import Path

from pgstead.errors import CommandFailed, SpecError
from pgstead.image.boot import install_boot
from pgstead.image.layout import SECTOR, Layout, layout, table
from pgstead.image.overlay import ROOT_LABEL
from pgstead.image.recipe import Recipe
from pgstead.image.root import Work, inside
from pgstead.image.tools import program
from pgstead.run import run

SECONDS = 900.0
EVERYBODY_WRITES = 0o666


def make_disk(recipe: Recipe, work: Work) -> Path:
    """A raw disk image that boots, with the root file system in it; gives its path."""
    plan = layout(recipe.size)
    disk = work.folder / "disk.raw"
    with disk.open("wb") as file:
        file.truncate(plan.size)
    run([program("sfdisk"), "--quiet", "--wipe=always", disk], stdin=table(plan, recipe))
    _fill(disk, plan, recipe, work)
    install_boot(disk, plan, recipe, work.folder)
    return disk


def compress(disk: Path, target: Path) -> None:
    """Make a compressed qcow2 of a raw disk image."""
    words: list[str | Path] = [
        "convert",
        "-c",
        "-O",
        "qcow2",
        "-o",
        "compression_type=zstd",
        disk,
        target,
    ]
    run([program("qemu-img"), *words], timeout=SECONDS)


def _fill(disk: Path, plan: Layout, recipe: Recipe, work: Work) -> None:
    """Make the root's file system with everything in it."""
    root = plan.root
    extended = (
        f"offset={root.offset},lazy_itable_init=1,lazy_journal_init=1,"
        f"hash_seed={recipe.identifier('hash seed')}"
    )
    # GRUB 2.06 cannot read file systems with the feature that is taken away.
    words: list[str | Path] = ["-q", "-F", "-L", ROOT_LABEL, "-O", "^metadata_csum_seed"]
    words += ["-U", str(recipe.identifier("root")), "-E", extended, "-d", work.root]
    disk.chmod(EVERYBODY_WRITES)  # without root, the one who writes is another user
    try:
        run(
            inside(program("mkfs.ext4"), *words, disk, f"{root.sectors * SECTOR // 1024}k"),
            env={**os.environ, "SOURCE_DATE_EPOCH": str(work.time)},
            timeout=SECONDS,
        )
    except CommandFailed as error:
        if "allocate block" not in error.message:
            raise
        raise SpecError(
            f"what the image holds does not fit into {recipe.size} GiB",
            hint="give a larger --size",
        ) from error
