"""The lock pins what pyproject.toml asks for, within what it allows, and names no place."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def pins(project: Path) -> dict[str, str]:
    lines = (project / "requirements.lock").read_text().splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def test_every_requirement_is_pinned_to_a_version_it_allows(
    project: Path, script: Callable[[str], Any]
) -> None:
    pinned = pins(project)
    for text in script("scripts/requirements.py").requirements("all"):
        wanted = Requirement(text)
        assert wanted.specifier.contains(pinned[canonicalize_name(wanted.name)]), text


def test_it_holds_versions_only(project: Path) -> None:
    for line in (project / "requirements.lock").read_text().splitlines():
        assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line), line
