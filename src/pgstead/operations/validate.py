"""Check a stack file, down to the machines that it stands for; nothing is touched."""

from __future__ import annotations

from pathlib import Path

from pgstead.operations.results import Checked
from pgstead.operations.session import open_session


def validate(file: Path) -> Checked:
    """What the file stands for. Raises `SpecError` with everything that is wrong with it."""
    with open_session(file) as session:
        return Checked(tuple(machine.name for machine in session.machines), session.warnings)
