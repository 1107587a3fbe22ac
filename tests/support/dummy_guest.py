"""A guest that is none: it has read its first boot's disk, and answers as it would have set up.

It stands for the inside of a domain that really runs, but boots nothing worth waiting for.
"""

from __future__ import annotations

import base64
import email
import io
import json
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from pgstead.errors import PlatformError
from pgstead.machine import File
from pgstead.platforms.cloud_init.script import SCRIPT
from pgstead.platforms.guests.guest import RESULT
from pgstead.reach.base import Finished


def seed_files(image: Path) -> dict[str, str]:
    """The texts on a first boot's disk."""
    import pycdlib  # noqa: PLC0415 - for libvirt's guests only

    iso = pycdlib.PyCdlib()
    iso.open(str(image))
    found = {}
    for name in ("meta-data", "network-config", "user-data"):
        out = io.BytesIO()
        iso.get_file_from_iso_fp(out, rr_path=f"/{name}")
        found[name] = out.getvalue().decode()
    iso.close()
    return found


def cloud_configs(user_data: str) -> list[dict[str, object]]:
    """The parts of a multi-part user data."""
    parts = email.message_from_string(user_data).get_payload()
    assert isinstance(parts, list)
    texts = [part.get_payload(decode=True) for part in parts]  # type: ignore[union-attr]
    return [yaml.safe_load(text) for text in texts if isinstance(text, bytes)]


_SETUP = re.compile(r"^begin (\S+|'[^']+')\n(?:[^\n]+\n)*?if ! \[ -e (\S+) \]", re.MULTILINE)
_FOLDER = re.compile(r"(?:^| \|\| )folder (/\S+) \S+ (\d+)$", re.MULTILINE)


@dataclass
class DummyGuest:
    """Implements `reach.base.Reach`."""

    files: dict[str, tuple[int, str]] = field(default_factory=dict)
    folders: dict[str, int] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)
    packages: dict[str, str] = field(default_factory=dict)
    creates: dict[str, str] = field(default_factory=dict)
    """What the setup commands of those names make."""
    ran: list[tuple[str, ...]] = field(default_factory=list)
    down: bool = False
    errors: tuple[str, ...] = ()

    def boot(self, files: Mapping[str, str], folders: Mapping[str, int]) -> None:
        """Do what the first boot's disk says."""
        for part in cloud_configs(files["user-data"]):
            for one in part.get("write_files", ()):  # type: ignore[attr-defined]
                self.files[one["path"]] = (int(one["permissions"], 8), one["content"])
            for one in part.get("packages", ()):  # type: ignore[attr-defined]
                self._install(*(one if isinstance(one, list) else [one]))
        if SCRIPT in self.files:  # otherwise it holds the access alone, and the rest is pushed
            self._set_up()
        self.folders.update(folders)
        self.end_first_boot()

    def end_first_boot(self) -> None:
        """Have cloud-init say how it ended."""
        result = {"v1": {"datasource": "NoCloud", "errors": list(self.errors)}}
        self.files[RESULT] = (0o644, json.dumps(result))

    def _set_up(self) -> None:
        """Do what the script of a first boot does."""
        script = self.files[SCRIPT][1]
        self.creates = dict(re.findall(_SETUP, script))
        self.files |= dict.fromkeys(self.creates.values(), (0o755, ""))
        for words in re.findall(_FOLDER, script):
            self.folders[words[0]] = int(words[1], 8)
        units = (path for path in self.files if path.startswith("/etc/systemd/system/"))
        self.running.update(path.rpartition("/")[2] for path in units)

    def push(self, file: File) -> None:
        self._check()
        self.files[file.path] = (file.mode, file.content)

    def read(self, path: str) -> str | None:
        self._check()
        found = self.files.get(path)
        return found[1] if found else None

    def logs(self, service: str, *, follow: bool = False, lines: int = 100) -> Iterator[str]:
        yield from ()

    def run(self, argv: Sequence[str], *, timeout: float = 60.0) -> Finished:
        self._check()
        words = tuple(argv)
        self.ran.append(words[:2] if words[0] == "python3" else words)
        if words[0] == "python3" and "units" in words[2]:
            return Finished(0, self._look(words[3]), "")
        if words == (SCRIPT,):
            self._set_up()
        if words[0] == "systemctl":
            self._systemctl(words[1], words[-1])
        if words[0] == "sh" and words[3] == "install":
            for word in words[4:]:
                self._install(*word.split("="))
        elif words[0] == "sh" and words[3] in self.creates:
            self.files[self.creates[words[3]]] = (0o755, "")
        if words[0] == "rm":
            for path in words[3:]:
                self.files.pop(path, None)
        if words[0] == "install":
            self.folders[words[-1]] = int(words[3], 8)
        return Finished(0, "group\n" if words[0] == "id" else "", "")

    def _systemctl(self, verb: str, unit: str) -> None:
        if verb in ("restart", "start"):
            self.running.add(unit)
        if verb in ("stop", "disable"):
            self.running.discard(unit)

    def _install(self, name: str, version: str = "1-1") -> None:
        self.packages[name] = version.replace("*", "-1")

    def _check(self) -> None:
        if self.down:
            raise PlatformError("it does not answer")

    def _look(self, packed: str) -> str:
        asked = json.loads(base64.b64decode(packed))
        paths = {path: self._one(path) for path in asked["paths"]}
        units = {u: "active" if u in self.running else "inactive" for u in asked["units"]}
        packages = {name: self.packages.get(name) for name in asked["packages"]}
        return json.dumps({"paths": paths, "units": units, "packages": packages})

    def _one(self, path: str) -> dict[str, object] | None:
        if path in self.folders:
            return {"mode": self.folders[path], "folder": True, "text": None}
        if path not in self.files:
            return None
        mode, text = self.files[path]
        encoded = base64.b64encode(text.encode()).decode()
        return {"mode": stat.S_IMODE(mode), "folder": False, "text": encoded}
