"""The programs and the rights that building an image takes."""

from __future__ import annotations

import os
from pathlib import Path

from pgstead import programs
from pgstead.errors import MissingSoftware, PlatformError

SUBORDINATE = Path("/etc/subuid")
"""Ranges of user ids that users may give out (subuid(5))."""


def missing() -> dict[str, str]:
    """What is not installed: its name or path -> Debian's package."""
    return programs.missing(programs.OF_AN_IMAGE)


def program(name: str) -> str:
    """The path of a program. Raises `MissingSoftware` if it is not installed."""
    path = programs.find(name)
    if path is None:
        raise _lacking({name: programs.OF_AN_IMAGE[name]})
    return path


def require_tools() -> None:
    """Raise `MissingSoftware` that names everything that is not installed, at once."""
    lacking = missing()
    if lacking:
        raise _lacking(lacking)


def require_rights() -> None:
    """Raise `PlatformError` if files of other users cannot be made: no root, no namespaces."""
    if os.geteuid() == 0:
        return
    if programs.find("newuidmap") is None:
        raise MissingSoftware(
            "building an image without root needs user namespaces, and newuidmap is not installed",
            hint="run as root, or `apt-get install uidmap`",
        )
    name = _own_name()
    if not _has_range(SUBORDINATE, name):
        raise PlatformError(
            f"building an image without root needs user namespaces, and user {name} has no range"
            f" of user ids in {SUBORDINATE}",
            hint=f"run as root, or `usermod --add-subuids 100000-165535"
            f" --add-subgids 100000-165535 {name}`",
        )


def _own_name() -> str:
    import pwd  # noqa: PLC0415 - not needed by root

    return pwd.getpwuid(os.geteuid()).pw_name


def _has_range(path: Path, name: str) -> bool:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return any(line.split(":", 1)[0] in (name, str(os.geteuid())) for line in lines)


def _lacking(what: dict[str, str]) -> MissingSoftware:
    packages = " ".join(sorted(set(what.values())))
    return MissingSoftware(
        f"building an image needs what is not installed: {', '.join(sorted(what))}",
        hint=f"apt-get install --no-install-recommends {packages}",
    )
