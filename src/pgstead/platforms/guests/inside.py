"""What is in a machine: its files, folders and services, asked for in one go."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pgstead.engine.resource import Recorded, Resource, Unknown, Value
from pgstead.errors import PgsteadError, PlatformError
from pgstead.machine import Machine
from pgstead.platforms.cloud_init import unit_name, unit_path
from pgstead.platforms.software import (
    PRESENT,
    RUNNING,
    STOPPED,
    content_digest,
    is_version,
    octal,
    plain_digest,
)
from pgstead.reach.base import Reach

SECONDS = 60.0

_LOOK = r"""
import base64, json, os, stat, subprocess, sys
asked = json.loads(base64.b64decode(sys.argv[1]))
def look(path):
    try:
        found = os.stat(path)
        text = None
        if stat.S_ISREG(found.st_mode) and path in asked["files"]:
            with open(path, "rb") as file:
                text = base64.b64encode(file.read()).decode()
        mode, folder = stat.S_IMODE(found.st_mode), stat.S_ISDIR(found.st_mode)
        return {"mode": mode, "folder": folder, "text": text}
    except (FileNotFoundError, NotADirectoryError):
        return None
def packages(*names):
    shown = "${Package}\t${db:Status-Status}\t${Version}\t${Provides}\n"
    said = subprocess.run(
        ["dpkg-query", "-W", "-f", shown, *names], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    found, provided = {}, {}
    for line in said.stdout.decode().splitlines():
        name, status, version, provides = line.split("\t")
        if status == "installed":
            found[name] = version
            provided.update((one.split()[0], "") for one in provides.split(",") if one.strip())
    return {**provided, **found}
there = packages(*asked["packages"]) if asked["packages"] else {}
if not there.keys() >= set(asked["packages"]):  # others may provide it: ask for them all
    there = packages()
units = {}
if asked["units"]:
    said = subprocess.run(["systemctl", "is-active", *asked["units"]], stdout=subprocess.PIPE)
    units = dict(zip(asked["units"], said.stdout.decode().split()))
paths = {path: look(path) for path in asked["paths"]}
versions = {name: there.get(name) for name in asked["packages"]}
print(json.dumps({"paths": paths, "units": units, "packages": versions}))
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a machine answered."""

    paths: Mapping[str, Mapping[str, Any] | None]
    units: Mapping[str, str]
    packages: Mapping[str, str | None]

    def text(self, path: str) -> str | None:
        """A file's text; None where there is none."""
        found = self.paths.get(path)
        if found is None or found["text"] is None:
            return None
        return base64.b64decode(found["text"]).decode(errors="replace")

    def active(self, service: str) -> bool:
        """Whether a service runs, or is about to."""
        return self.units.get(unit_name(service)) in ("active", "activating", "reloading")


def look(reach: Reach, keys: Iterable[str]) -> Seen:
    """Ask a machine about those keys. Raises `PlatformError` if it does not answer."""
    split = [key.partition(":") for key in keys]
    files = {name for kind, _, name in split if kind == "file"}
    files |= {unit_path(name) for kind, _, name in split if kind == "service"}
    paths = files | {name for kind, _, name in split if kind in ("mode", "directory", "setup")}
    units = {unit_name(name) for kind, _, name in split if kind in ("running", "service")}
    packages = {name for kind, _, name in split if kind == "package"}
    asked = {
        "files": sorted(files),
        "paths": sorted(paths),
        "units": sorted(units),
        "packages": sorted(packages),
    }
    packed = base64.b64encode(json.dumps(asked).encode()).decode()
    done = reach.run(["python3", "-c", _LOOK, packed], timeout=SECONDS)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        raise PlatformError(f"the machine's answer is none: {done.stderr or done.stdout}") from None
    return Seen(found["paths"], found["units"], found["packages"])


_REMOVED = ("file", "service")


def unwanted(target: Resource | Recorded, known: Recorded | None) -> list[str]:
    """Keys of what was made in a machine, as recorded, and is not asked for any more."""
    made = [key for key in (known.values if known else ()) if key.partition(":")[0] in _REMOVED]
    return [key for key in made if key not in target.values]


def values(
    reach: Reach, target: Resource | Recorded, keys: Iterable[str], digest: Any
) -> dict[str, Value | Unknown]:
    """The values of those keys, as `platforms.software` names them; Unknown where unreachable."""
    wanted = list(keys)
    try:
        seen = look(reach, wanted)
    except PgsteadError as error:
        return dict.fromkeys(wanted, Unknown(error.message))
    secrets = _secrets(target)
    found = {key: _value(seen, key, secrets, digest, target.values.get(key)) for key in wanted}
    return {key: value for key, value in found.items() if value is not None}


def _value(seen: Seen, key: str, secrets: set[str], digest: Any, should: Value) -> Value:
    kind, _, name = key.partition(":")
    if kind == "package":
        return _package(seen.packages.get(name), should)
    if kind == "file":
        text = seen.text(name)
        return None if text is None else content_digest(text, digest if name in secrets else None)
    if kind == "service":
        text = seen.text(unit_path(name))
        return None if text is None else plain_digest(text)
    if kind == "running":
        return RUNNING if seen.active(name) else STOPPED
    return _place(seen.paths.get(name), kind)


def _place(there: Mapping[str, Any] | None, kind: str) -> Value:
    if there is None:
        return None
    if kind == "mode":
        return octal(there["mode"])
    return PRESENT if there["folder"] or kind == "setup" else None


def _package(there: str | None, wanted: Value) -> Value:
    """The wanted version, if what is there is one of it; else what is there."""
    if there is None or wanted == PRESENT:
        return None if there is None else PRESENT
    return wanted if is_version(there, str(wanted)) else there or PRESENT


def _secrets(target: Resource | Recorded) -> set[str]:
    machine = target.body if isinstance(target, Resource) else None
    if not isinstance(machine, Machine):
        return set()
    return {file.path for file in machine.software.files if file.secret}
