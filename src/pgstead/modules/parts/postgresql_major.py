"""Which major version of PostgreSQL a server runs: the one that its data was made with.

Only that one can open the data. It is kept with the materials, which stay as long as the
data does, under what shares it: a Patroni cluster, or a server of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from pgstead.errors import MissingSoftware
from pgstead.machine import Package
from pgstead.modules.base import Context

__all__ = ["Data", "Major", "installed_major", "kept_major"]


@dataclass(frozen=True, slots=True)
class Data:
    """A server's data: its folder on a machine, and what others it is shared with.

    `owner` is the address of the resource that it belongs to, e.g. `patroni.main`.
    """

    owner: str
    machine: str
    folder: str


@dataclass(frozen=True, slots=True)
class Major:
    """The version to run, None where it is not known; `refused` says why not the asked one."""

    runs: str | None
    refused: tuple[str, ...] = ()

    @property
    def package(self) -> Package:
        """Debian's package of it; without a version, the distribution's own."""
        return Package("postgresql" if self.runs is None else f"postgresql-{self.runs}")


def installed_major(context: Context, wanted: str | int | None, data: Data) -> Major:
    """The version to run from packages: of the data, else the wanted one, else the newest.

    Raises `MissingSoftware` where the wanted one is not among those that are there. One
    that is merely kept is missed by whoever looks for its programs.
    """
    chosen = kept_major(context, wanted, data, new=context.facts.versions.get("postgresql"))
    if wanted is not None and chosen.runs == _major(wanted):
        _require(context, chosen.runs)
    return chosen


def kept_major(
    context: Context, wanted: str | int | None, data: Data, *, new: str | None = None
) -> Major:
    """The version of the data, else the wanted one, else that of `new`; kept from then on."""
    asked = None if wanted is None else _major(wanted)
    made = _made_with(context, asked or new, asked, data)
    runs = made or asked or (new and _major(new))
    if runs is not None:
        context.materials.remember(_key(data), runs)
    changes = made is not None and asked not in (None, made)
    return Major(runs, _refusal(made, asked) if changes else ())


def _made_with(context: Context, other: str | None, asked: str | None, data: Data) -> str | None:
    """What is remembered; the data itself is looked at where that does not settle it.

    After a state was lost, or data upgraded by hand. Not where nothing depends on it: a
    look at a machine elsewhere takes a connection.
    """
    known = context.materials.recall(_key(data))
    if other is None or (known is not None and asked in (None, known)):
        return known
    text = (context.look(data.machine, f"{data.folder}/PG_VERSION") or "").strip()
    return text if text.isdigit() else known


def _key(data: Data) -> str:
    return f"postgresql/{data.owner}"


def _major(version: str | int) -> str:
    """The major version: "15" of "15.18"."""
    return str(version).partition(".")[0]


def _require(context: Context, wanted: str) -> None:
    versions = context.facts.versions
    there = {_major(versions[name]) for name in versions if name.startswith("postgresql")}
    if there and wanted not in there:
        found = ", ".join(sorted(there, key=int))
        raise MissingSoftware(
            f"modules.{context.module}: wants PostgreSQL {wanted}, but there is {found}",
            hint=f"Install the package postgresql-{wanted}, or point `binaries:` to it.",
        )


def _refusal(made: str | None, asked: str | None) -> tuple[str, ...]:
    """Source: PostgreSQL's manual, "Upgrading a PostgreSQL Cluster"."""
    reason = (
        f"PostgreSQL {asked} cannot open its data, which PostgreSQL {made} made,"
        " and pgstead does not run pg_upgrade yet"
    )
    way = (
        f"go back to version {made}; to change to {asked}, dump the databases (pg_dumpall)"
        " and restore them into a new cluster"
    )
    return reason, way
