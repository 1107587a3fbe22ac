"""A root file system that lacks a package, and an archive of one's own that has it.

The package is put together again from what dpkg knows of it in that very root, so that
nothing is fetched from anywhere.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

PORT = 8000
SCRIPTS = ("preinst", "postinst", "prerm", "postrm")
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "DEBIAN_FRONTEND": "noninteractive",
    "LANG": "C.UTF-8",
}
Network = Callable[[], AbstractContextManager[None]]
"""Gives a block in which this thread, and what it starts, is in a network."""


@dataclass(frozen=True)
class Archive:
    """An archive that is served; `folder` holds its files and its log."""

    folder: Path

    @property
    def log(self) -> str:
        """The requests that it answered."""
        return (self.folder / "log").read_text()


@contextmanager
def lacking(root: Path, package: str, source: str) -> Iterator[Path]:
    """A root file system like that one, without a package, and with one apt source.

    What neither dpkg nor a first boot changes in place is shared with it by hard links.
    """
    with tempfile.TemporaryDirectory(prefix="lacking-", dir=root.parent.parent) as folder:
        made = Path(folder) / "root"
        _run("cp", "-a", "--link", str(root), str(made))
        for each in ("etc", "var"):
            shutil.rmtree(made / each)
            _run("cp", "-a", str(root / each), str(made / each))
        policy = made / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        _run("chroot", str(made), "dpkg", "--purge", package)
        policy.unlink()
        (made / "etc/apt/sources.list").write_text(source)
        yield made


@contextmanager
def served(root: Path, package: str, folder: Path, network: Network) -> Iterator[Archive]:
    """An archive in that network, on all of its addresses, with one package of that root."""
    files = folder / "files"
    files.mkdir(parents=True)
    _index(files, _packed(root, package, folder / "package", files))
    words = ["-m", "http.server", str(PORT), "--directory", str(files)]
    with (folder / "log").open("wb") as log, network():
        process = subprocess.Popen(
            [sys.executable, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        yield Archive(folder)
    finally:
        process.terminate()
        process.wait(30)


def _packed(root: Path, package: str, tree: Path, target: Path) -> Path:
    """The package as a file. Its documentation may be missing, as it is in the root."""
    known = root / "var/lib/dpkg/info"
    listed = (known / f"{package}.list").read_text().split("\n")
    for place in (one.lstrip("/") for one in listed if one.startswith("/")):
        source = root / place
        if source.is_dir():
            (tree / place).mkdir(parents=True, exist_ok=True)
        elif source.exists():
            shutil.copy2(source, tree / place)
    control = tree / "DEBIAN"
    control.mkdir(mode=0o755)
    (control / "control").write_text(_control(root, package))
    for script in SCRIPTS:
        shutil.copy2(known / f"{package}.{script}", control / script)
    conffiles = (known / f"{package}.conffiles").read_text().splitlines()
    (control / "conffiles").write_text("".join(f"{one}\n" for one in conffiles))
    made = target / f"{package}.deb"
    _run("dpkg-deb", "--root-owner-group", "-Znone", "--build", str(tree), str(made))
    return made


def _control(root: Path, package: str) -> str:
    """What the package says of itself; not how it was installed."""
    stanzas = (root / "var/lib/dpkg/status").read_text().split("\n\n")
    (found,) = [one for one in stanzas if one.startswith(f"Package: {package}\n")]
    kept: list[str] = []
    inside = False
    for line in found.splitlines():
        if not line.startswith(" "):
            inside = line.startswith(("Status:", "Conffiles:"))
        if not inside:
            kept.append(line)
    return "\n".join(kept) + "\n"


def _index(files: Path, package: Path) -> None:
    """The list that apt reads; the archive has no signature, so it must be trusted."""
    control = _run("dpkg-deb", "--field", str(package))
    content = package.read_bytes()
    listed = f"Filename: ./{package.name}\nSize: {len(content)}\n"
    digest = f"SHA256: {hashlib.sha256(content).hexdigest()}\n"
    (files / "Packages").write_text(f"{control.rstrip()}\n{listed}{digest}\n")


def _run(*words: str) -> str:
    environment = {**os.environ, **ENVIRONMENT}
    return subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=120, check=True
    ).stdout
