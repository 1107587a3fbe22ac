"""The setup script, as far as it can be seen without installing anything."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def checkout(project: Path, tmp_path: Path) -> Path:
    """A folder with the scripts alone."""
    shutil.copytree(project / "scripts", tmp_path / "checkout" / "scripts")
    return tmp_path / "checkout"


def venv_path(checkout: Path) -> str:
    done = subprocess.run(
        [checkout / "scripts" / "setup.sh", "path"], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def public(tmp_path: Path) -> None:
    """Opens the test's folder to others, as far up as pytest made it."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder.name.startswith(("pytest-", "test_")):
            folder.chmod(0o755)


@pytest.mark.usefixtures("public")
def test_the_environment_lies_in_a_checkout_that_others_can_read(checkout: Path) -> None:
    assert venv_path(checkout) == str(checkout.resolve() / ".venv")


@pytest.mark.usefixtures("public")
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
