"""What a look at a machine finds: one thing that is needed, and how it is put right."""

from __future__ import annotations

from dataclasses import dataclass

from pgstead import programs


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `package` is Debian's, where one puts it right."""

    name: str
    ok: bool
    found: str
    version: str = ""
    path: str = ""
    package: str | None = None
    hint: str | None = None


def program_finding(name: str, package: str) -> Finding:
    """Whether a program, or a file by its path, is there; `package` is Debian's that holds it."""
    path = programs.find(name)
    if path is None:
        return Finding(name, False, f"{name} is not installed", package=package)
    return Finding(name, True, "found", path=path, package=package)
