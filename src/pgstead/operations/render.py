"""Write every machine's files for reading."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pgstead.errors import SpecError
from pgstead.machine import replace_tokens
from pgstead.operations.session import open_session
from pgstead.operations.standing_in import StandIns
from pgstead.platforms.base import Shows
from pgstead.redaction import redact

if TYPE_CHECKING:
    from pgstead.operations.session import Session

MARK = ".rendered"
"""Tells a folder that an earlier `render` made, which may be written over."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """How many files were written, and what the user should know about them."""

    files: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Text:
    """A file to be written below the folder; `secret` tells whether it holds secrets."""

    path: str
    content: str
    secret: bool = False


def render(file: Path, folder: Path, *, show_secrets: bool) -> Rendered:
    """Write what each machine is made of, for reading.

    `FOLDER/MACHINE/etc/...` are its files as on a conventional machine. Where it is begun by
    cloud-init, beside them are `cloud-init/user-data` and the like, and `domain.xml` for
    libvirt. Secrets are replaced by `***` unless `show_secrets`; then files are readable by
    their owner alone. No host has to answer: what only it knows is told in words. Raises
    `SpecError` if the folder holds something else already.
    """
    with open_session(file) as session:
        _prepare(folder)
        session.stand_ins = StandIns()
        texts = [*_files(session), *_beginnings(session, show_secrets=show_secrets)]
        for text in texts:
            _write(folder, text, session.stand_ins, show_secrets=show_secrets)
        return Rendered(len(texts), _warnings(session.stand_ins))


def _prepare(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise SpecError(f"{folder} is not empty", hint="name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).write_text("", encoding="utf-8")


def _warnings(stand_ins: StandIns) -> tuple[str, ...]:
    if stand_ins.reason is None:
        return ()
    words = "addresses that only the platform gives are told in words, and certificates have"
    return (f"{words} made-up ones: {stand_ins.reason}",)


def _files(session: Session) -> Iterator[Text]:
    for machine in session.machines:
        for file in machine.software.files:
            content = replace_tokens(file.content, _conventional)
            yield Text(f"{machine.name}/{file.path.lstrip('/')}", content, file.secret)


def _beginnings(session: Session, *, show_secrets: bool) -> Iterator[Text]:
    platform = session.platform
    if not isinstance(platform, Shows):
        return
    digest = session.materials.digest
    found = platform.shown(session.machines, digest, secrets=show_secrets)
    for machine, texts in found.items():
        for name, content in texts.items():
            yield Text(f"{machine}/{name}", content, secret=True)


def _write(folder: Path, text: Text, stand_ins: StandIns, *, show_secrets: bool) -> None:
    target = folder / text.path
    target.parent.mkdir(parents=True, exist_ok=True)
    content = stand_ins.told(text.content)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.fchmod(descriptor, 0o600 if show_secrets and text.secret else 0o644)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(content if show_secrets else redact(content))


def _conventional(kind: str, name: str) -> str:
    """Where things are on a conventional machine; a program by its name alone."""
    return name if kind in ("path", "bin") else f"/usr/lib/{name}/bin"
