"""The applies of a stack."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pgstead.operations.session import open_session

if TYPE_CHECKING:
    from pgstead.engine.history import ApplyEntry


def history(file: Path, limit: int) -> Sequence[ApplyEntry]:
    """The newest `limit` of them, newest first."""
    with open_session(file) as session:
        return session.state.history(limit)
