"""What the setup script would install for tests with virtual machines."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pgstead import programs
from pgstead.programs import OF_A_HOST, OF_AN_IMAGE, SSH


def lacking(project: Path, folder: Path) -> set[str]:
    """What the script names where no program is installed, and of Python's packages none."""
    words = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        _WITHOUT_PROGRAMS,
        str(project / "scripts/packages.py"),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=folder)
    return set(done.stdout.split())


_WITHOUT_PROGRAMS = """
import runpy, shutil, sys
shutil.which = lambda *words, **options: None
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def test_all_that_pgstead_itself_names_is_among_it(project: Path, tmp_path: Path) -> None:
    named = {**OF_A_HOST, **OF_AN_IMAGE, **SSH}
    programs_only = {package for name, package in named.items() if "/" not in name}
    found = lacking(project, tmp_path)
    assert programs_only <= found
    assert {"podman", "docker-registry", "cloud-init", "gcc"} <= found


def test_a_file_is_found_by_its_path_and_a_program_by_its_name(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.touch()
    assert programs.find(str(there)) == str(there)
    assert programs.find("sh")
    wanted = {"sh": "dash", str(there): "a", str(tmp_path / "gone"): "b", "no-such-one": "c"}
    assert programs.missing(wanted) == {str(tmp_path / "gone"): "b", "no-such-one": "c"}
