"""Fixtures of the tests that need virtual machines."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A short folder: sockets have 107 bytes for their path."""
    with TemporaryDirectory(prefix="pgstead-") as name:
        yield Path(name)
