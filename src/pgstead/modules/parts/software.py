"""Small helpers for putting a machine's software together."""

from __future__ import annotations

from pgstead.machine import Software
from pgstead.modules.base import Context

__all__ = ["combine", "fact"]


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
    if text is None:
        return None
    numbers = text.lstrip("v").split("-")[0].split("+")[0].split(".")
    return tuple(int(number) for number in numbers if number.isdigit())
