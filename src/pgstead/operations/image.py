"""Build a machine image with everything inside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pgstead.errors import SpecError
from pgstead.image.build import Built, build, packages_of
from pgstead.image.lock import read_lock
from pgstead.image.recipe import recipe
from pgstead.image.sources import apt_sources, suite_of
from pgstead.image.tools import require_tools


def build_image(
    target: Path,
    *,
    say: Callable[[str], None],
    lock: Path | None = None,
    size: int | None = None,
    containers: bool = True,
    more: tuple[str, ...] = (),
    rootfs: Path | None = None,
) -> Built:
    """Build an image at `target` from this machine's apt sources.

    Args:
        target: The qcow2 to write; the list of its contents goes beside it.
        say: Told of each step before it begins.
        lock: The list of an earlier image's contents, to be built again.
        size: GiB of the disk.
        containers: Whether Podman is inside.
        more: Further Debian packages.
        rootfs: Where a tar of the root file system goes, if one is wanted.

    Raises `SpecError`, `MissingSoftware`, `PlatformError` or `CommandFailed`.
    """
    if target.is_dir():
        raise SpecError(f"{target} is a folder", hint="--output names the file to write")
    if packages_of(target) == target:
        raise SpecError(
            f"{target} is where the list of the image's contents would go",
            hint="give the image another name, e.g. ending in .qcow2",
        )
    pinned = read_lock(lock) if lock else None
    if pinned and more:
        raise SpecError("--include cannot be given with --lock", hint="the lock names everything")
    require_tools()
    sources = apt_sources()
    chosen = recipe(
        suite_of(sources), sources, size=size, containers=containers, more=more, lock=pinned
    )
    return build(chosen, target, say=say, rootfs=rootfs)
