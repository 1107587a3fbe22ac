"""Volumes that are folders, which libvirt makes and deletes empty: their content is ours."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pgstead.errors import PlatformError

FORMAT = "dir"
"""What libvirt calls the format of such a volume."""


def clear(path: str) -> None:
    """Remove all that is in a folder of this machine."""
    with writing(path), os.scandir(path) as found:
        for each in found:
            if each.is_dir(follow_symlinks=False):
                shutil.rmtree(each)
            else:
                Path(each).unlink()


def is_empty(path: str) -> bool:
    """Whether there is nothing in a folder, which may not be there at all."""
    try:
        with os.scandir(path) as found:
            return next(found, None) is None
    except FileNotFoundError:
        return True


@contextmanager
def writing(path: str) -> Iterator[None]:
    """Turn errors of the file system into a `PlatformError` about that folder."""
    try:
        yield
    except OSError as error:
        raise PlatformError(
            f"{error.filename or path}: {error.strerror or error}",
            hint="containers are made by root; run pgstead as root",
        ) from error
