"""Tokens become the places of a conventional Debian or Ubuntu system."""

from __future__ import annotations

from dataclasses import replace

from pgstead.errors import PlatformError
from pgstead.machine import Machine, replace_tokens

POSTGRESQL = "/usr/local/lib/pgstead/postgresql"
"""Where the machine's first boot links the newest PostgreSQL's programs to, where the
stack file names no version."""

_POSTGRESQL_PROGRAMS = frozenset(
    (
        "initdb",
        "pg_basebackup",
        "pg_controldata",
        "pg_ctl",
        "pg_isready",
        "pg_rewind",
        "postgres",
        "psql",
    )
)
_FOLDERS = {"chronyd": "/usr/sbin", "haproxy": "/usr/sbin"}


def conventional(machine: Machine) -> Machine:
    """The machine with its tokens replaced: everything is where its path says.

    Programs are named by their path, but for those that an image may have in /usr/local
    as well: systemd and the first boot's script look for these themselves.
    """
    folder = postgresql_folder(machine)

    def text(value: str) -> str:
        return conventional_text(value, folder)

    software = machine.software
    return replace(
        machine,
        software=replace(
            software,
            files=tuple(replace(one, content=text(one.content)) for one in software.files),
            setup=tuple(
                replace(
                    one,
                    argv=tuple(map(text, one.argv)),
                    creates=text(one.creates),
                )
                for one in software.setup
            ),
            services=tuple(
                replace(
                    one,
                    command=tuple(map(text, one.command)),
                    afterwards=tuple(map(text, one.afterwards)),
                    environment={key: text(value) for key, value in one.environment.items()},
                )
                for one in software.services
            ),
        ),
    )


def conventional_text(value: str, postgresql: str = POSTGRESQL) -> str:
    """A text with its tokens replaced; `postgresql` is the folder of PostgreSQL's programs."""
    return replace_tokens(value, lambda kind, name: _place(kind, name, postgresql))


def postgresql_folder(machine: Machine) -> str:
    """The folder of PostgreSQL's programs: of the version that it names, or the link."""
    major = machine.postgresql
    return f"/usr/lib/postgresql/{major}/bin" if major else POSTGRESQL


def _place(kind: str, name: str, postgresql: str) -> str:
    if kind == "path":
        return name
    if kind == "dir":
        if name != "postgresql":
            raise PlatformError(f"{name!r} has no folder of programs of its own on a machine")
        return postgresql
    if name in _POSTGRESQL_PROGRAMS:
        return f"{postgresql}/{name}"
    return f"{_FOLDERS[name]}/{name}" if name in _FOLDERS else name
