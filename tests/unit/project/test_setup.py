"""The setup script, as far as it can be seen without installing anything."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def checkout(project: Path) -> Iterator[Path]:
    """A folder with the scripts alone, where others can read it (pytest's own they cannot)."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        shutil.copytree(project / "scripts", Path(folder) / "checkout" / "scripts")
        (Path(folder) / "checkout").chmod(0o755)
        yield Path(folder) / "checkout"


def venv_path(checkout: Path) -> str:
    done = subprocess.run(
        [checkout / "scripts" / "setup.sh", "path"], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_environment_lies_in_a_checkout_that_others_can_read(checkout: Path) -> None:
    assert venv_path(checkout) == str(checkout.resolve() / ".venv")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's servers run as another user")
def test_the_environment_lies_elsewhere_if_others_cannot_read_the_checkout(checkout: Path) -> None:
    checkout.chmod(0o700)
    path = venv_path(checkout)
    assert path.startswith("/var/lib/pgstead/venvs/")
    assert path == venv_path(checkout)


def test_what_is_unknown_is_refused_with_a_hint(checkout: Path) -> None:
    done = subprocess.run(
        [checkout / "scripts" / "setup.sh", "everything"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "everything" in done.stderr
    assert "hint: " in done.stderr


def test_make_explains_itself(project: Path) -> None:
    done = subprocess.run(
        ["make", "--no-print-directory"], cwd=project, capture_output=True, text=True, check=True
    )
    for target in ("demo", "test", "bench"):
        assert f"make {target} " in done.stdout
