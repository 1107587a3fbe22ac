"""Which minor versions of etcd may run on a cluster's data: its own, or the next one.

An older program does not open the data, and members two versions apart do not talk to each
other (etcd's manual, "Upgrading etcd clusters and applications"). What the data's version may
be is kept with the materials, under the cluster; where another one is asked for, a member
that serves is asked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pgstead.membership import EtcdMember
from pgstead.modules.base import Context

__all__ = ["minor_of", "refused_minor"]

_VERSION = re.compile(r"(?<![\d.])v?(\d+)\.(\d+)(?:\.\d+)?")


@dataclass(frozen=True, slots=True, order=True)
class Minor:
    """A minor version, e.g. 3.4."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"

    def takes(self, data: Minor) -> bool:
        """Whether this program may run on data of that version."""
        return self.major == data.major and 0 <= self.minor - data.minor <= 1


def minor_of(text: str | None) -> Minor | None:
    """The first version in a text, e.g. a URL; None where there is none."""
    found = _VERSION.search(text or "")
    return None if found is None else Minor(int(found[1]), int(found[2]))


def refused_minor(context: Context, program: str | None, member: EtcdMember) -> tuple[str, ...]:
    """Why a program of that version must not run on a member's data; empty if it may.

    `program` is a version in words, None where it is not known: then nothing is refused, and
    what is kept stays.
    """
    key, wanted = f"etcd/{member.cluster}", minor_of(program)
    data = _data(context, member, _kept(context.materials.recall(key)), wanted)
    refused = [one for one in data if wanted is not None and not wanted.takes(one)]
    kept = data if refused or wanted is None else tuple(sorted({*data, wanted}))
    if kept:
        context.materials.remember(key, " ".join(map(str, kept)))
    return _words(wanted, refused[0], sure=len(data) == 1) if refused and wanted else ()


def _data(
    context: Context, member: EtcdMember, known: tuple[Minor, ...], wanted: Minor | None
) -> tuple[Minor, ...]:
    """The versions that the data may have; a member is asked where anything depends on it."""
    if wanted is None or known == (wanted,):
        return known
    return _asked(context, member) or known


def _kept(text: str | None) -> tuple[Minor, ...]:
    """The versions that the data may have: two, as long as an upgrade may be under way."""
    return tuple(one for one in map(minor_of, (text or "").split()) if one is not None)


def _asked(context: Context, member: EtcdMember) -> tuple[Minor, ...]:
    said = minor_of(context.etcd_version(member))
    return () if said is None else (said,)


def _words(wanted: Minor, data: Minor, *, sure: bool) -> tuple[str, str]:
    step = Minor(data.major, data.minor + 1)
    known = f"is etcd {data}'s" if sure else f"may still be etcd {data}'s, since no member answers"
    reason = f"etcd {wanted} cannot run on its data, which {known}"
    if wanted < data:
        return f"{reason}: etcd does not go back", f"use etcd {data} or {step}"
    return (
        f"{reason}: etcd is upgraded one minor version at a time",
        f"go to etcd {step} first, with one `up`, and on from there",
    )
