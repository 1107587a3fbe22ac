"""Servers without root: Debian's packages, unpacked into a folder of the user's.

The packages are those of the system's own apt sources, verified by apt. What is unpacked
runs through small scripts that name its libraries; PostgreSQL finds its other parts by
itself, from where its programs lie.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from pgstead.errors import CommandFailed, MissingSoftware
from pgstead.platforms.local.files import explained, make_folder, remove_tree, write_file
from pgstead.run import run

DOWNLOAD_SECONDS = 900.0
_INSTALL_LINE = re.compile(r"^Inst (\S+)", re.MULTILINE)
_PROGRAM_FOLDERS = ("usr/bin", "usr/sbin")
_WANTED = ("etcd", "etcdctl", "haproxy")


def unpack(packages: Sequence[str], cache: Path) -> list[str]:
    """Download those packages and what they need, and unpack them below `cache`/packages.

    Gives the names of all packages that were unpacked. Raises `CommandFailed` as apt does,
    and `MissingSoftware` where there is no apt.
    """
    names = list(dict.fromkeys([*packages, *_lacking(packages)]))
    base = cache / "packages"
    downloads = base / "downloads"
    make_folder(downloads)
    run(["apt-get", "download", *names], cwd=downloads, timeout=DOWNLOAD_SECONDS)
    for archive in sorted(downloads.glob("*.deb")):
        run(["dpkg", "--extract", archive, base / "root"], timeout=DOWNLOAD_SECONDS)
    remove_tree(downloads)
    write_wrappers(base)
    return names


def write_wrappers(base: Path) -> None:
    """Write a script per program into `base`/bin, PostgreSQL's into `base`/bin/postgresql-N."""
    root = base / "root"
    libraries = ":".join(str(folder) for folder in _library_folders(root))
    for folder in _PROGRAM_FOLDERS:
        for name in _WANTED:
            if (root / folder / name).exists():
                _wrapper(base / "bin" / name, root / folder / name, libraries)
    for programs in sorted((root / "usr/lib/postgresql").glob("*/bin")):
        target = base / "bin" / f"postgresql-{programs.parent.name}"
        for program in sorted(programs.iterdir()):
            _wrapper(target / program.name, program, libraries)


def _lacking(packages: Sequence[str]) -> Iterator[str]:
    """What apt would install for them: the packages, and what they need and the system lacks."""
    plan = ["apt-get", "--simulate", "--no-install-recommends", "install", *packages]
    try:
        answer = run(plan, env={**os.environ, "LC_ALL": "C"}).stdout
    except MissingSoftware:
        raise MissingSoftware(
            "there is no apt-get on this machine, so that no packages can be unpacked",
            hint="install the servers by other means, and name them in platform.binaries",
        ) from None
    except CommandFailed as error:
        hint = "`apt-get update` brings the list of packages up to date; it takes root"
        raise CommandFailed(error.message, hint=hint) from error
    yield from _INSTALL_LINE.findall(answer)


def _library_folders(root: Path) -> list[Path]:
    """All folders below usr/lib and lib that hold shared libraries of the system's kind."""
    with explained(root):
        places = [*root.glob("usr/lib/*-linux-*"), *root.glob("lib/*-linux-*")]
        nested = [sub for place in places for sub in place.iterdir() if sub.is_dir()]
        return [one for one in (*places, *nested) if any(one.glob("*.so*"))]


def _wrapper(path: Path, program: Path, libraries: str) -> None:
    lines = ["#!/bin/sh"]
    if libraries:
        lines.append(f"export LD_LIBRARY_PATH={shlex.quote(libraries)}")
    lines.append(f'exec {shlex.quote(str(program))} "$@"')
    write_file(path, "\n".join(lines) + "\n", 0o755)
