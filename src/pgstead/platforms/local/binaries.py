"""The servers' programs: where they are, and which versions."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pgstead.errors import MissingSoftware, PgsteadError
from pgstead.platforms.local.files import read_file, write_file
from pgstead.run import run

SYSTEM_FOLDERS = tuple(
    Path(folder)
    for folder in ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
)
POSTGRESQL_FOLDERS = (
    (Path("/usr/lib/postgresql"), "*/bin"),  # Debian's, and PostgreSQL's own for Debian
    (Path("/usr"), "pgsql-*/bin"),  # PostgreSQL's own for Red Hat
)
DOCTOR = "`pgstead doctor` lists what is missing, `pgstead doctor --fix` installs it"

_NUMBER = re.compile(r"\b(\d+(?:\.\d+)*)")


@dataclass(frozen=True, slots=True)
class Software:
    """A server: the program that tells its version, Debian's package, and what is too old."""

    name: str
    program: str
    package: str
    minimum: tuple[int, ...]
    version_flag: str = "--version"
    others: tuple[str, ...] = ()


SOFTWARE = {
    one.name: one
    for one in (
        Software("postgresql", "postgres", "postgresql", (13,)),
        Software("etcd", "etcd", "etcd-server", (3, 4)),
        Software("etcdctl", "etcdctl", "etcd-client", (3, 4), version_flag="version"),
        Software("haproxy", "haproxy", "haproxy", (2, 4), version_flag="-v"),
        Software("patroni", "patroni", "patroni", (4, 0), others=("patronictl",)),
    )
}
"""All that may be asked for, by name."""

SERVERS = ("postgresql", "etcd", "haproxy", "patroni")
"""Whose versions modules ask for."""


@dataclass(frozen=True, slots=True)
class Found:
    """A program that is there; `version` is empty where it could not be told."""

    software: Software
    path: Path
    version: str

    @property
    def new_enough(self) -> bool:
        """Whether pgstead works with that version."""
        return bool(self.version) and version_key(self.version) >= self.software.minimum


def version_key(version: str) -> tuple[int, ...]:
    """A version as numbers that compare: `3.4.23` -> `(3, 4, 23)`."""
    return tuple(int(part) for part in version.split(".") if part)


class Binaries:
    """Finds programs: first where the stack file says, then in the system, then in the cache.

    `configured` maps a software's name to its program, or for `postgresql` to the folder
    of its programs.
    """

    def __init__(self, configured: Mapping[str, str], cache: Path, user: str | None) -> None:
        self._configured = dict(configured)
        self._cache = cache
        self._user = user
        self._found: dict[tuple[str, str | None], Found] = {}

    def path(self, program: str, major: str | None = None) -> Path:
        """A program by its name: `etcd`, `patronictl`, `initdb`.

        `major` is the version of PostgreSQL that is wanted, by default the newest there is.
        Raises `MissingSoftware` if it is not there or too old.
        """
        for software in SOFTWARE.values():
            if program in (software.program, *software.others) and software.name != "postgresql":
                return self.require(software.name).path.with_name(program)
        found = self.folder("postgresql", major) / program
        if not found.exists():
            raise MissingSoftware(f"there is no program {program!r} in {found.parent}", hint=DOCTOR)
        return found

    def folder(self, software: str, major: str | None = None) -> Path:
        """The folder of a software's programs. Raises `MissingSoftware`."""
        if software not in SOFTWARE:
            raise MissingSoftware(f"{software!r} is no software that pgstead knows")
        return self.require(software, major if software == "postgresql" else None).path.parent

    def require(self, name: str, major: str | None = None) -> Found:
        """The software of that name. Raises `MissingSoftware` if it is not there or too old."""
        key = (name, major)
        if key not in self._found:
            self._found[key] = _checked(
                SOFTWARE[name], self.find(name, major), major, self._configured.get(name)
            )
        return self._found[key]

    def find(self, name: str, major: str | None = None) -> Found | None:
        """The best one there is, whatever its version; None if there is none."""
        found = [one for one in self.all(name) if major in (None, _major(one))]
        if name == "postgresql":
            return max(found, key=lambda one: version_key(one.version), default=None)
        return next((one for one in found if one.new_enough), next(iter(found), None))

    def all(self, name: str) -> list[Found]:
        """All that there are, in the order in which they are taken."""
        software = SOFTWARE[name]
        if configured := self._configured.get(name):
            return [self._one(software, _configured(software, Path(configured)))]
        found = (self._one(software, path) for path in self._candidates(software))
        return [one for one in found if one.version]

    def versions(self) -> dict[str, str]:
        """What would run, by name; each PostgreSQL also by its major: `postgresql-15`."""
        best = {name: self.find(name) for name in SERVERS}
        known = {name: one.version for name, one in best.items() if one and one.version}
        each = {f"postgresql-{_major(one)}": one.version for one in self.all("postgresql")}
        return {**each, **known}

    def _candidates(self, software: Software) -> Iterator[Path]:
        places: list[Path] = []
        if software.name == "patroni":
            places.append(Path(sys.prefix) / "bin")
        if software.name == "postgresql":
            for base, pattern in POSTGRESQL_FOLDERS:
                places += base.glob(pattern)
            places += (self._cache / "packages" / "bin").glob("postgresql-*")
        else:
            places += [*SYSTEM_FOLDERS, self._cache / "packages" / "bin"]
        for place in places:
            path = place / software.program
            if path.is_file() and os.access(path, os.X_OK):
                yield path

    def _one(self, software: Software, path: Path) -> Found:
        return Found(software, path, self._version(software, path))

    def _version(self, software: Software, path: Path) -> str:
        """The version, asked for once per file as it is."""
        try:
            status = path.stat()
        except OSError:
            return ""
        key = f"{path}:{status.st_mtime_ns}:{status.st_size}"
        if key not in self._known:
            version = _ask(software, path, self._user)
            if not version:
                return ""
            self._known[key] = version
            with suppress(PgsteadError):  # only a cache
                write_file(self._versions_file, json.dumps(self._known, indent=1))
        return self._known[key]

    @property
    def _versions_file(self) -> Path:
        return self._cache / "versions.json"

    @cached_property
    def _known(self) -> dict[str, str]:
        try:
            content = json.loads(read_file(self._versions_file) or "{}")
        except (ValueError, OSError):
            return {}
        return dict(content) if isinstance(content, dict) else {}


def _ask(software: Software, path: Path, user: str | None) -> str:
    if software.name == "patroni" and path.is_relative_to(sys.prefix):
        return _installed_patroni()
    try:
        answer = run([path, software.version_flag], user=user, timeout=20, cwd=Path("/")).stdout
    except PgsteadError:
        return ""
    found = _NUMBER.search(answer)
    return found[1] if found else ""


def _installed_patroni() -> str:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - rarely needed

    try:
        return version("patroni")
    except PackageNotFoundError:
        return ""


def _major(found: Found) -> str:
    return found.version.partition(".")[0]


def _configured(software: Software, given: Path) -> Path:
    return given / software.program if given.is_dir() else given


def _checked(
    software: Software, found: Found | None, major: str | None, configured: str | None
) -> Found:
    name = f"{software.name} {major}" if major else software.name
    hint = _hint(software, major, configured)
    if found is None:
        raise MissingSoftware(f"{name} is not installed", hint=hint)
    if configured and not found.path.is_file():
        raise MissingSoftware(f"{name}: there is no program {found.path}", hint=hint)
    if not found.version:
        raise MissingSoftware(f"{found.path} does not tell its version, or cannot run", hint=hint)
    if not found.new_enough:
        least = ".".join(map(str, software.minimum))
        raise MissingSoftware(
            f"{found.path} is {software.name} {found.version}, "
            f"and {least} is the oldest that works",
            hint=_hint(software, None, configured),
        )
    return found


def _hint(software: Software, major: str | None, configured: str | None) -> str:
    if configured:
        package = f" (package {software.package}-{major})" if major else ""
        return (
            f"platform.binaries.{software.name} in the stack file names {configured}: "
            f"correct it, or leave it out to have one found on the system{package}"
        )
    if software.name == "patroni":
        return "install it beside pgstead: `pip install 'patroni[etcd3,psycopg3]>=4'`"
    if major:  # a doctor would be content with any
        package = f"{software.package}-{major}"
        return f"install the package {package}: data stays with the version that it was made with"
    return f"Debian's package is {software.package}; {DOCTOR}"
