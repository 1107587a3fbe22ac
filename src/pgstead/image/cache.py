"""Images that were built before: one per recipe, in the user's cache."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pgstead import caches
from pgstead.image.build import Built, Say, build, packages_of
from pgstead.image.lock import read_lock
from pgstead.image.recipe import Recipe, recipe
from pgstead.image.sources import apt_sources, suite_of
from pgstead.image.tools import require_tools

DIGITS = 16
"""How many of the digest's digits name an image."""


def cache_folder() -> Path:
    """Where images are kept that can be built again."""
    return caches.cache_folder() / "images"


def cached(wanted: Recipe, *, say: Say, rootfs: bool = False, folder: Path | None = None) -> Built:
    """The image of the recipe: the one that is kept, or a new one, which is kept from now on.

    With `rootfs` there is a tar of its root file system too. Processes that ask for the same
    image at the same time get the one that the first of them builds.
    """
    base = folder or cache_folder()
    base.mkdir(parents=True, exist_ok=True)
    image = base / f"{wanted.digest[:DIGITS]}.qcow2"
    tar = image.with_suffix(".tar") if rootfs else None
    with _locked(image.with_suffix(".lock")):
        if image.exists() and (tar is None or tar.exists()):
            packages = packages_of(image)
            return Built(image, packages, read_lock(packages), tar)
        return build(wanted, image, say=say, rootfs=tar)


def usual_image(*, say: Say, rootfs: bool = False) -> Built:
    """The image with the usual contents, from this machine's apt sources, kept in the cache.

    Raises `MissingSoftware` or `PlatformError` where no image can be built.
    """
    require_tools()
    sources = apt_sources()
    return cached(recipe(suite_of(sources), sources), say=say, rootfs=rootfs)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
