"""The systemd unit of a sentinel that watches with a stack file."""

from __future__ import annotations

import sys
from pathlib import Path

from pgstead.render import render


def text(stack: str, file: Path) -> str:
    """The unit for the stack of that file, which it names by its absolute path."""
    path = file.absolute()
    words = (sys.executable, "-m", "pgstead", "sentinel", str(path))
    return render(
        "pgstead.sentinel",
        "sentinel.service.j2",
        name=f"pgstead-sentinel-{stack}",
        stack=stack,
        file=path,
        command=" ".join(map(_word, words)),
        folder=str(path.parent).replace("%", "%%"),
    )


def _word(word: str) -> str:
    """A word of a command line as systemd.service(5) reads it."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'
