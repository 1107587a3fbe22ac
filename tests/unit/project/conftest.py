from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def project() -> Path:
    """The checkout's folder."""
    return Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def script(project: Path) -> Callable[[str], Any]:
    """Imports a file that is no part of the package, by its path in the checkout."""

    def load(place: str) -> Any:
        name = Path(place).stem
        if name not in sys.modules:
            spec = importlib.util.spec_from_file_location(name, project / place)
            assert spec is not None
            assert spec.loader is not None
            sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])
        return sys.modules[name]

    return load
