"""Small helpers for putting a machine's software together."""

from __future__ import annotations

from pgstead.machine import Software
from pgstead.modules.base import Context

__all__ = ["combine", "fact", "numbers"]


def combine(*parts: Software) -> Software:
    """One software made of several, in that order; what several need alike stands once."""
    return Software(
        packages=tuple(dict.fromkeys(item for part in parts for item in part.packages)),
        users=tuple(dict.fromkeys(item for part in parts for item in part.users)),
        directories=tuple(dict.fromkeys(item for part in parts for item in part.directories)),
        files=tuple(item for part in parts for item in part.files),
        setup=tuple(item for part in parts for item in part.setup),
        services=tuple(item for part in parts for item in part.services),
    )


def fact(context: Context, software: str) -> tuple[int, ...] | None:
    """The version of a software that will run, as numbers; None where it is not known."""
    text = context.facts.versions.get(software)
    return None if text is None else numbers(text)


def numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version: `v3.4.15` has 3, 4 and 15."""
    parts = version.lstrip("v").split("-")[0].split("+")[0].split(".")
    return tuple(int(part) for part in parts if part.isdigit())
