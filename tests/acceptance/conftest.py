"""Fixtures of the tests that run the command line against real servers."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from support.stack import QUICKSTART, Stack, stack_in


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A short folder: sockets have 107 bytes for their path."""
    with TemporaryDirectory(prefix="pgstead-") as name:
        yield Path(name)


@pytest.fixture
def own_folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="pgstead-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def quickstart(folder: Path, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The quickstart's cluster, up, shared by the tests of one file."""
    name = "t-" + Path(request.module.__file__ or "").stem.removeprefix("test_").replace("_", "-")
    with stack_in(folder, name[:24]) as stack:
        stack.write(QUICKSTART)
        stack.up()
        yield stack
