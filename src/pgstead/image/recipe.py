"""What an image is made from, and a digest of all of it."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from pgstead.errors import SpecError
from pgstead.image.contents import PATRONI, packages
from pgstead.image.lock import Lock

LEAST_SIZE = 3
"""GiB that what is inside takes, with room to boot."""

USUAL_SIZE = 4

_NAMESPACE = uuid.UUID("6a3c0f0e-5f0b-4c9b-9d5e-7c4f5d1b0a11")


@dataclass(frozen=True, slots=True)
class Source:
    """A part of an apt source: one suite and one component.

    `keyring` is the path of the file that its signature is checked with, None for apt's own.
    """

    uri: str
    suite: str
    component: str
    keyring: str | None = None

    @property
    def line(self) -> str:
        """As it stands in a sources.list."""
        signed = f"[signed-by={self.keyring}] " if self.keyring else ""
        return f"deb {signed}{self.uri} {self.suite} {self.component}"


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides what is in an image.

    `suite` is the distribution's release, e.g. bookworm; `size` is in GiB; `wanted` are the
    packages to ask for; `lock` pins these and what they need to versions.
    """

    suite: str
    sources: tuple[Source, ...]
    wanted: tuple[str, ...]
    size: int = USUAL_SIZE
    patroni: str = PATRONI
    lock: Lock | None = None

    @property
    def digest(self) -> str:
        """64 hexadecimal digits: of the recipe, and of the code that follows it."""
        content = json.dumps(asdict(self), sort_keys=True)
        hashed = hashlib.sha256(content.encode())
        for path in sorted(Path(__file__).parent.glob("*.py")):
            hashed.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
        return hashed.hexdigest()

    def identifier(self, name: str) -> uuid.UUID:
        """An id of a part of the image, the same whenever the recipe is the same."""
        return uuid.uuid5(_NAMESPACE, f"{self.digest}/{name}")


def recipe(
    suite: str,
    sources: tuple[Source, ...],
    *,
    size: int | None = None,
    containers: bool = True,
    more: tuple[str, ...] = (),
    lock: Lock | None = None,
) -> Recipe:
    """The recipe of an image; a lock decides what is wanted.

    Raises `SpecError` for a size that is too small, or a lock of another release.
    """
    size = size or (lock.size if lock else USUAL_SIZE)
    if size < LEAST_SIZE:
        raise SpecError(
            f"an image of {size} GiB is too small", hint=f"it takes {LEAST_SIZE} GiB or more"
        )
    if lock is None:
        return Recipe(suite, sources, packages(containers=containers, more=more), size)
    if lock.suite != suite:
        raise SpecError(
            f"the lock file is of {lock.suite}, but this machine's apt sources are of {suite}",
            hint=f"build on a machine whose apt sources are of {lock.suite}",
        )
    return Recipe(suite, sources, lock.wanted, size, lock=lock)
