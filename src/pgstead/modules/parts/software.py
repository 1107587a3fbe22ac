"""Small helpers for putting a machine's software together."""

from __future__ import annotations

from pgstead.errors import MissingSoftware
from pgstead.machine import Software
from pgstead.modules.base import Context

__all__ = ["combine", "fact", "major", "require_major"]


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


def major(version: str | int) -> str:
    """The major version of a PostgreSQL version: "15" of "15.18"."""
    return str(version).partition(".")[0]


def fact(context: Context, software: str) -> tuple[int, ...] | None:
    """The version of a software that will run, as numbers; None where it is not known."""
    text = context.facts.versions.get(software)
    if text is None:
        return None
    numbers = text.lstrip("v").split("-")[0].split("+")[0].split(".")
    return tuple(int(number) for number in numbers if number.isdigit())


def require_major(context: Context, wanted: str | int | None) -> str | None:
    """The major version of PostgreSQL to run; None if neither wanted nor known.

    Raises `MissingSoftware` where the wanted one is not among those that are there.
    """
    versions = context.facts.versions
    newest = versions.get("postgresql")
    if wanted is None:
        return None if newest is None else major(newest)
    there = {major(versions[name]) for name in versions if name.startswith("postgresql")}
    if there and major(wanted) not in there:
        found = ", ".join(sorted(there, key=int))
        raise MissingSoftware(
            f"modules.{context.module}: wants PostgreSQL {wanted}, but there is {found}",
            hint=f"Install PostgreSQL {major(wanted)}, or point `binaries:` to it.",
        )
    return major(wanted)
