"""The build, step by step."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from pgstead.errors import PlatformError
from pgstead.image.disk import compress, make_disk
from pgstead.image.lock import Lock, differences
from pgstead.image.recipe import Recipe
from pgstead.image.root import Work, inside, installed, make_root
from pgstead.image.sources import python_version, require_available
from pgstead.image.tools import require_rights, require_tools
from pgstead.image.wheels import fetch_wheels
from pgstead.run import run

Say = Callable[[str], None]

LEAST_FREE = 5 * 1024**3
"""Bytes that the working folder takes at most, for an image of the usual contents."""


@dataclass(frozen=True, slots=True)
class Built:
    """An image that was built: the qcow2, the list of what is in it, and, if asked, its root."""

    image: Path
    packages: Path
    contents: Lock
    rootfs: Path | None = None


def build(recipe: Recipe, target: Path, *, say: Say, rootfs: Path | None = None) -> Built:
    """Build the image at `target`, and beside it the list of what is in it.

    `rootfs` is where a tar of the root file system is written too, for containers. `say` is
    told of each step before it begins. Nothing is left behind when a step fails, and what was
    at `target` before stays.

    Raises `MissingSoftware`, `PlatformError` or `CommandFailed`.
    """
    require_tools()
    require_rights()
    python = python_version()
    if recipe.lock:
        require_available(recipe.lock)
    with _working_folder(recipe, target) as work:
        say(f"fetching Patroni for Python {python}")
        fetch_wheels(recipe, python, work.wheels)
        return _build(recipe, target, work, say, rootfs)


def _build(recipe: Recipe, target: Path, work: Work, say: Say, rootfs: Path | None) -> Built:
    say(f"installing {len(recipe.wanted)} packages and what they need ({recipe.suite})")
    make_root(recipe, work)
    contents = _contents(recipe, work)
    say(f"making a disk of {recipe.size} GiB that boots under BIOS and UEFI")
    disk = make_disk(recipe, work)
    say("compressing")
    made = work.folder / "image.qcow2"
    compress(disk, made)
    if rootfs is not None:
        say("archiving the root file system")
        _archive(work, rootfs)
    return _deliver(made, target, contents, rootfs)


def packages_of(image: Path) -> Path:
    """Where the list of an image's contents lies: NAME.packages beside NAME.qcow2."""
    return image.with_suffix(".packages")


def _contents(recipe: Recipe, work: Work) -> Lock:
    """What is in the image. Raises `PlatformError` if that is not what the lock names."""
    packages, python = installed(work)
    lock = recipe.lock
    if lock:
        wrong = [*differences(lock.packages, packages), *differences(lock.python, python)]
        if wrong:
            raise PlatformError(
                f"the image does not hold what the lock file names: {'; '.join(wrong[:10])}",
                hint="build without --lock, and keep the list that is written beside the image",
            )
    return Lock(recipe.suite, recipe.size, work.time, recipe.wanted, packages, python)


def _archive(work: Work, rootfs: Path) -> None:
    part = work.folder / "root.tar"
    part.touch()
    part.chmod(0o666)  # without root, the one who writes is another user
    words = ("--numeric-owner", "--xattrs", "--sort=name", "-C", work.root, "-cf", part, ".")
    run(inside("tar", *words), timeout=900.0)
    part.chmod(0o644)
    shutil.move(part, rootfs)


def _deliver(made: Path, target: Path, contents: Lock, rootfs: Path | None) -> Built:
    """Put everything in its place; the image last, for it is what others look for."""
    packages = packages_of(target)
    part = made.with_suffix(".packages")
    part.write_text(contents.text(), encoding="utf-8")
    part.replace(packages)
    made.chmod(0o644)
    made.replace(target)
    return Built(target, packages, contents, rootfs)


@contextmanager
def _working_folder(recipe: Recipe, target: Path) -> Iterator[Work]:
    """A folder beside the target, so that the image gets there by a rename."""
    parent = _existing(target.parent)
    folder = Path(mkdtemp(prefix=".pgstead-image-", dir=parent))
    folder.chmod(0o711)  # without root, the one who builds is another user
    try:
        yield Work(folder, _time(recipe), target.with_suffix(".log"))
    finally:
        if os.geteuid() != 0 and (folder / "root").exists():
            run(inside("rm", "-rf", folder / "root"), check=False, timeout=300.0)
        shutil.rmtree(folder, ignore_errors=True)


def _existing(folder: Path) -> Path:
    """The folder, absolute; made if need be. Raises `PlatformError` if it has too little room."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE:
        raise PlatformError(
            f"{folder} has {free / 1024**3:.1f} GiB free, and building takes"
            f" {LEAST_FREE // 1024**3} GiB",
            hint="free some space, or give another place with --output",
        )
    return folder.resolve()


def _time(recipe: Recipe) -> int:
    """The date of what is built: the lock's, or the one that the environment says, or now."""
    if recipe.lock:
        return recipe.lock.time
    said = os.environ.get("SOURCE_DATE_EPOCH", "")
    return int(said) if said.isdigit() else int(time.time())
