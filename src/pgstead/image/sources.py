"""The machine's own apt sources: where an image's packages come from."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from pgstead.errors import PlatformError
from pgstead.image.lock import Lock
from pgstead.image.recipe import Source
from pgstead.image.tools import program
from pgstead.run import run

DEBIAN = "Debian"
POSTGRESQL = "apt.postgresql.org"
"""Origins, as Release files say them, of what may get into an image."""

POSTGRESQL_KEYRING = Path("/usr/share/postgresql-common/pgdg/apt.postgresql.org.asc")
"""Part of Debian's package postgresql-common."""

FORMAT = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(SIGNED_BY)|$(ORIGIN)"
ARCHITECTURE = "amd64"


def apt_sources() -> tuple[Source, ...]:
    """The sources of this machine that an image is made from: Debian's, then PostgreSQL's own.

    Raises `PlatformError` if there are none, or the machine is of another architecture.
    """
    architecture = run([program("dpkg"), "--print-architecture"]).stdout.strip()
    if architecture != ARCHITECTURE:
        raise PlatformError(
            f"images are built for {ARCHITECTURE}, and this machine is {architecture}",
            hint=f"build on an {ARCHITECTURE} machine",
        )
    listed = _ask("apt-get", "indextargets", "--format", FORMAT, "Created-By: Packages")
    return parse_targets(listed)


def parse_targets(listed: str) -> tuple[Source, ...]:
    """The sources in what `apt-get indextargets` lists in `FORMAT`.

    Raises `PlatformError` if there are none of Debian, or one holds a password.
    """
    rows = [line.split("|") for line in listed.splitlines() if line.count("|") == FORMAT.count("|")]
    debian = [row for row in rows if row[4] == DEBIAN]
    if not debian:
        raise PlatformError(
            "this machine's apt sources hold nothing of Debian, or their lists were not fetched",
            hint="run `apt-get update`; /etc/apt/sources.list.d says where packages come from",
        )
    chosen = [*debian, *(row for row in rows if row[4] == POSTGRESQL)]
    for uri, *_ in chosen:
        _without_password(uri)
    return tuple(dict.fromkeys(_source(row) for row in chosen))


def suite_of(sources: tuple[Source, ...]) -> str:
    """The release that the first source is of, e.g. bookworm."""
    return sources[0].suite.split("-")[0].split("/")[0]


def python_version() -> str:
    """The Python that the image will have, e.g. 3.11."""
    policy = _ask("apt-cache", "policy", "python3")
    for line in policy.splitlines():
        name, _, value = line.strip().partition(": ")
        if name == "Candidate" and value != "(none)":
            return ".".join(value.split(":")[-1].split(".")[:2])
    raise PlatformError(
        "this machine's apt sources have no package python3", hint="run `apt-get update`"
    )


def require_available(lock: Lock) -> None:
    """Raise `PlatformError`, naming all of them, if the sources lack what the lock names."""
    listed = _ask("apt-cache", "madison", *sorted(lock.packages))
    there: dict[str, set[str]] = {}
    for line in listed.splitlines():
        name, version, *_ = (word.strip() for word in line.split("|"))
        there.setdefault(name, set()).add(version)
    gone = [
        f"{name} {version} (there is: {', '.join(sorted(there.get(name, ()))) or 'none'})"
        for name, version in sorted(lock.packages.items())
        if version not in there.get(name, ())
    ]
    if gone:
        raise PlatformError(
            f"the apt sources lack what the lock file names: {'; '.join(gone)}",
            hint="point apt at an archive that keeps old versions, such as snapshot.debian.org,"
            " or build without --lock",
        )


def _source(row: list[str]) -> Source:
    uri, suite, component, signed_by, origin = row
    if origin == DEBIAN:  # its keyring is part of every Debian system
        return Source(uri.rstrip("/"), suite, component)
    # apt leaves the field's own name where a source names no keyring.
    keyring = signed_by if signed_by.startswith("/") else str(POSTGRESQL_KEYRING)
    return Source(uri.rstrip("/"), suite, component, keyring)


def _without_password(uri: str) -> None:
    if urlsplit(uri).password:
        raise PlatformError(
            f"the apt source at {urlsplit(uri).hostname} has a password in its address,"
            " which would be readable in the image",
            hint="put it into /etc/apt/auth.conf.d (see apt_auth.conf(5))",
        )


def _ask(name: str, *words: str) -> str:
    return run([name, *words], env={**os.environ, "LC_ALL": "C.UTF-8"}).stdout
