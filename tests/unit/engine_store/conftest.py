"""A state in a file of a folder of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pgstead.engine.state import State, default_url, open_state


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Where the state of a stack `demo` lies by itself."""
    return default_url(tmp_path / "stack.yaml", "demo")


@pytest.fixture
def state(url: str) -> Iterator[State]:
    """The open state of that stack, new."""
    opened = open_state(url, "demo", create=True)
    yield opened
    opened.close()
