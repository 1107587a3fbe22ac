"""Fixtures of the tests that need virtual machines."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

with suppress(ImportError):  # without libvirt, the tests that want these skip themselves
    from support.libvirt_stage import daemon, stage

    __all__ = ["daemon", "stage"]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A short folder: sockets have 107 bytes for their path."""
    with TemporaryDirectory(prefix="pgstead-") as name:
        yield Path(name)
