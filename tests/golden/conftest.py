"""Golden files: what the modules render, kept beside the stack file that it comes from."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--regenerate-golden",
        action="store_true",
        help="write all golden files anew: pytest tests/golden --regenerate-golden",
    )


@pytest.fixture
def regenerate(request: pytest.FixtureRequest) -> bool:
    # Where pytest was not pointed to this folder, the option was not added.
    return bool(request.config.getoption("--regenerate-golden", default=False))
