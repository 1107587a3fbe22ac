"""What holds for all tests."""

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from support.openstack.fixtures import openstack_lab, openstack_project

__all__ = [
    "openstack_lab",
    "openstack_project",
]  # here, and not where they are used: one lab for all

settings.register_profile("project", deadline=None)
"""No example is judged by its time, which a busy machine makes as long as it likes."""


def pytest_configure() -> None:
    """Hear Ctrl-C, and have it heard by what the tests start.

    Whoever runs the tests in a shell's background has it ignored, which children inherit.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    settings.load_profile("project")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, other than those below pytest's own."""
    with tempfile.TemporaryDirectory(prefix="pgstead-") as name:
        Path(name).chmod(0o755)
        yield Path(name)
