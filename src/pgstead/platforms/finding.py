"""What a look at a machine finds: one thing that is needed, and how it is put right."""

from __future__ import annotations

from dataclasses import dataclass


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
