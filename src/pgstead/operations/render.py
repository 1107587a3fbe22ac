"""Write every machine's files for reading."""

from __future__ import annotations

import os
from pathlib import Path

from pgstead.errors import SpecError
from pgstead.machine import File, Machine, replace_tokens
from pgstead.operations.session import open_session
from pgstead.redaction import redact


def render(file: Path, folder: Path, *, show_secrets: bool) -> int:
    """Write `FOLDER/MACHINE/etc/...` as on a conventional machine; gives the number of files.

    Secrets are replaced by `***` unless `show_secrets`; then files are readable by their
    owner alone. Raises `SpecError` if the folder holds something else already.
    """
    with open_session(file) as session:
        if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
            raise SpecError(f"{folder} is not empty", hint="name a new folder")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARK).write_text("", encoding="utf-8")
        files = [(machine, each) for machine in session.machines for each in machine.software.files]
        for machine, each in files:
            _write(folder, machine, each, show_secrets=show_secrets)
    return len(files)


MARK = ".rendered"
"""Tells a folder that an earlier `render` made, which may be written over."""


def _write(folder: Path, machine: Machine, file: File, *, show_secrets: bool) -> None:
    target = folder / machine.name / file.path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    text = replace_tokens(file.content, _conventional)
    if not show_secrets:
        text = redact(text)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.fchmod(descriptor, 0o600 if show_secrets and file.secret else 0o644)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(text)


def _conventional(kind: str, name: str) -> str:
    """Where things are on a conventional machine; a program by its name alone."""
    return name if kind in ("path", "bin") else f"/usr/lib/{name}/bin"
