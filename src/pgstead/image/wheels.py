"""Patroni and what it needs, as wheels for the image's Python, fetched by this machine's pip."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from pgstead.errors import CommandFailed, MissingSoftware, PlatformError
from pgstead.image.recipe import Recipe
from pgstead.run import run, tail

SECONDS = 600.0
"""For downloads over a slow line."""

SOURCE_ONLY = ("python-etcd", "ydiff<1.5")
"""What Patroni needs and PyPI has no wheels of; both are pure Python (Patroni says ydiff<1.5)."""

OLDEST_GLIBC, NEWEST_GLIBC = 17, 36
"""Minor versions of glibc 2 that wheels may be made for: Debian 12 has 2.36."""


def fetch_wheels(recipe: Recipe, python: str, folder: Path) -> None:
    """Fetch all wheels that Patroni's venv takes into the folder.

    `python` is the version of the image's Python, e.g. 3.11. Raises `MissingSoftware` if this
    Python has no pip, `PlatformError` if something cannot be fetched.
    """
    pip = _pip()
    asked = requirements(recipe)
    _run([*pip, *built_here(recipe), "--wheel-dir", str(folder)])
    _run([*pip, *downloaded(python), "--find-links", str(folder), "--dest", str(folder), *asked])


def requirements(recipe: Recipe) -> list[str]:
    """What the venv is asked to hold: Patroni, or everything by version if there is a lock."""
    locked = recipe.lock.constraints() if recipe.lock else []
    return locked or [recipe.patroni]


def built_here(recipe: Recipe) -> list[str]:
    """Words for pip that build the wheels of what is published as source alone."""
    locked: Mapping[str, str] = recipe.lock.python if recipe.lock else {}
    names = (requirement.split("<", 1)[0] for requirement in SOURCE_ONLY)
    asked = [
        f"{name}=={locked[name]}" if name in locked else requirement
        for name, requirement in zip(names, SOURCE_ONLY, strict=True)
    ]
    return ["wheel", "--quiet", "--no-deps", "--use-pep517", *asked]


def downloaded(python: str) -> list[str]:
    """Words for pip that download wheels for that Python on Linux, whatever runs here."""
    platforms = [f"manylinux_2_{minor}_x86_64" for minor in range(NEWEST_GLIBC, OLDEST_GLIBC, -1)]
    options = [f"--platform={name}" for name in (*platforms, "manylinux2014_x86_64")]
    return [
        "download",
        "--quiet",
        "--only-binary=:all:",
        f"--python-version={python}",
        "--implementation=cp",
        *options,
    ]


def _pip() -> list[str]:
    words = [sys.executable, "-m", "pip"]
    if run([*words, "--version"], check=False).code != 0:
        raise MissingSoftware(
            f"{sys.executable} has no pip, which fetches Patroni for the image",
            hint=f"{sys.executable} -m ensurepip, or install pgstead into a venv that has pip",
        )
    return [*words, "--disable-pip-version-check", "--no-input"]


def _run(words: list[str]) -> None:
    try:
        done = run(words, check=False, timeout=SECONDS, env={**os.environ, "LC_ALL": "C.UTF-8"})
    except CommandFailed as error:
        raise PlatformError(error.message, hint=_HINT) from error
    if done.code != 0:
        raise PlatformError(
            f"pip could not fetch Patroni for the image: {tail(done.stderr, 5)}", hint=_HINT
        )


_HINT = "PyPI, or the index that pip is configured with (PIP_INDEX_URL), has to be reachable"
