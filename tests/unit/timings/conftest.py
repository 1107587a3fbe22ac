from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pgstead.spec import Stack, from_tree
from pgstead.spec.timing_settings import settings_of
from pgstead.timings.settings import Settings

Clock = Callable[..., Settings]


def cluster(timings: dict[str, Any] | None = None, **parts: Any) -> Stack:
    """A stack with a cluster that has these timings."""
    tree = {"name": "x", "cluster": {"timings": timings or {}, **parts}}
    return from_tree(tree, folder=Path("/nowhere"), environ={})


@pytest.fixture
def clock() -> Clock:
    """The plain settings of a cluster with these timings, and these other parts."""

    def made(timings: dict[str, Any] | None = None, **parts: Any) -> Settings:
        stack = cluster(timings, **parts)
        assert stack.cluster is not None
        return settings_of(stack.cluster)

    return made
