"""Shell scripts of ours on a guest: what one command line cannot say."""

from __future__ import annotations

import shlex

from pgstead.machine import Command, Directory, File, OnChange, path
from pgstead.render import render

__all__ = ["DONE", "FOLDER", "call", "folders", "script", "step", "word"]

FOLDER = "/usr/local/lib/pgstead"
DONE = "/var/lib/pgstead"
"""Here a setup command that leaves nothing of its own behind notes that it is done."""


def word(text: object) -> str:
    """`text` as one word of a shell's command line."""
    return shlex.quote(str(text))


def folders() -> tuple[Directory, ...]:
    """The folders of scripts, and of what they note."""
    return Directory(FOLDER, mode=0o755), Directory(DONE, mode=0o755)


def script(
    package: str,
    template: str,
    /,
    *,
    name: str | None = None,
    service: str | None = None,
    **values: object,
) -> File:
    """The script of a template, as a file; `service` is restarted when it changes."""
    name = name or template.removesuffix(".j2")
    return File(
        f"{FOLDER}/{name}",
        render(package, template, word=word, **values),
        mode=0o755,
        on_change=OnChange.RELOAD if service is None else OnChange.RESTART,
        service=service,
    )


def call(name: str, *arguments: str) -> tuple[str, ...]:
    """The command line that runs a script of ours."""
    return ("/bin/sh", path(f"{FOLDER}/{name}"), *arguments)


def step(name: str, *arguments: str, creates: str) -> Command:
    """A script of ours as a setup command."""
    return Command(name, call(name, *arguments), creates=creates)
