"""The root file system: mmdebstrap, with files laid in and Patroni's venv made on the way."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pgstead.errors import CommandFailed
from pgstead.image.contents import ACTIVE, IDLE, KEPT, LEFT_OUT, PATRONI_FOLDER
from pgstead.image.overlay import PINS, Entry, after, before, write_tar
from pgstead.image.recipe import Recipe
from pgstead.image.tools import program
from pgstead.image.wheels import requirements
from pgstead.programs import SYSTEM_PATH
from pgstead.run import run, tail

SECONDS = 3600.0
"""For downloads over a slow line, and a slow machine."""

PIP = f"{PATRONI_FOLDER}/bin/pip"
PACKAGE_LIST = "packages"
PYTHON_LIST = "python"


@dataclass(frozen=True, slots=True)
class Work:
    """The folder that an image is built in, the date of what is built, where a log is kept."""

    folder: Path
    time: int
    kept_log: Path

    @property
    def root(self) -> Path:
        """The root file system."""
        return self.folder / "root"

    @property
    def wheels(self) -> Path:
        """Wheels for Patroni's venv."""
        return self.folder / "wheels"

    @property
    def lists(self) -> Path:
        """What is installed, as the image itself says."""
        return self.folder / "lists"

    @property
    def log(self) -> Path:
        """What mmdebstrap wrote."""
        return self.folder / "log"


def make_root(recipe: Recipe, work: Work) -> None:
    """Make the root file system. Raises `CommandFailed` with the reason that apt or dpkg gave."""
    write_tar(work.folder / "before.tar", [*before(recipe), *_keyrings(recipe)], time=work.time)
    write_tar(work.folder / "after.tar", after(), time=work.time)
    work.lists.mkdir()
    with work.log.open("wb") as log:
        done = run(
            arguments(recipe, work),
            env=environment(work),
            cwd=work.folder,
            output=log,
            timeout=SECONDS,
            check=False,
        )
    if done.code != 0:
        raise _failed(work)


def arguments(recipe: Recipe, work: Work) -> list[str]:
    """The words of the call of mmdebstrap."""
    return [
        *_contained(),
        program("mmdebstrap"),
        f"--mode={'root' if os.geteuid() == 0 else 'unshare'}",
        "--variant=minbase",
        "--format=directory",
        f"--include={','.join(recipe.wanted)}",
        '--aptopt=Acquire::Languages "none"',
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT),
        *(f"--dpkgopt=path-include={pattern}" for pattern in KEPT),
        f"--setup-hook=tar-in {_quoted(work.folder / 'before.tar')} /",
        *(f"--customize-hook={hook}" for hook in hooks(recipe, work)),
        recipe.suite,
        str(work.root),
        *(source.line for source in recipe.sources),
    ]


def hooks(recipe: Recipe, work: Work) -> list[str]:
    """What is done to the installed system, in order, each in the form of mmdebstrap(1)."""
    wheels = f"/var/tmp/{work.wheels.name}"  # noqa: S108 - in the new root, while nobody is there
    return [
        f"copy-in {_quoted(work.wheels)} /var/tmp",
        _inside("python3", "-m", "venv", PATRONI_FOLDER),
        _inside(PIP, *_OFFLINE, f"--find-links={wheels}", *requirements(recipe)),
        f'rm -rf "$1{wheels}"',
        f"tar-in {_quoted(work.folder / 'after.tar')} /",
        _inside("sh", "-c", 'for unit; do systemctl disable "$unit" || true; done', "sh", *IDLE),
        _inside("systemctl", "enable", *ACTIVE),
        _inside("passwd", "--lock", "root"),
        *(f'rm -rf "$1"/{pattern}' for pattern in (*_OF_ONE_MACHINE, PINS)),
        *_listed(work.lists / PACKAGE_LIST, "dpkg-query", "-W", "-f", _QUERY),
        *_listed(work.lists / PYTHON_LIST, PIP, "list", "--format=freeze"),
    ]


def environment(work: Work) -> dict[str, str]:
    """What mmdebstrap and its hooks are given: dates that do not depend on the clock."""
    kept = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    return {
        **kept,
        "PATH": SYSTEM_PATH,
        "HOME": os.environ.get("HOME", "/"),
        "LC_ALL": "C.UTF-8",
        "SOURCE_DATE_EPOCH": str(work.time),
    }


def installed(work: Work) -> tuple[dict[str, str], dict[str, str]]:
    """The packages in the image and those of Patroni's venv, each name with its version."""
    packages = (line.split() for line in _lines(work.lists / PACKAGE_LIST))
    python = (line.split("==", 1) for line in _lines(work.lists / PYTHON_LIST))
    own = {"pip", "setuptools", "wheel"}  # the venv's own, of Debian's package
    return (
        _versions(packages),
        _versions(row for row in python if row[0] not in own),
    )


def inside(*words: str | Path) -> list[str | Path]:
    """Words that run a program where the root's files have the owners they will have."""
    if os.geteuid() == 0:
        return list(words)
    return [program("mmdebstrap"), "--unshare-helper", *words]


_QUERY = "${Package} ${Version}\\n"
_OFFLINE = ("install", "--quiet", "--no-index", "--no-cache-dir", "--disable-pip-version-check")
_OF_ONE_MACHINE = (
    "etc/ssh/ssh_host_*",
    "var/lib/dbus/machine-id",
    "var/lib/systemd/random-seed",
    "var/log/*.log",
    "var/log/apt/*",
)


def _keyrings(recipe: Recipe) -> list[Entry]:
    paths = {source.keyring for source in recipe.sources if source.keyring}
    return [
        Entry(path.lstrip("/"), Path(path).read_text(encoding="ascii")) for path in sorted(paths)
    ]


def _contained() -> list[str]:
    """Words that make what follows end, mounts included, as soon as pgstead ends.

    Without root, mmdebstrap makes namespaces of its own.
    """
    if os.geteuid() != 0:
        return []
    return [program("unshare"), "--mount", "--pid", "--fork", "--kill-child", "--"]


def _inside(*words: str) -> str:
    return f'chroot "$1" {shlex.join(words)}'


def _listed(path: Path, *words: str) -> list[str]:
    """Hooks that keep what a program in the new root says in a file outside of it.

    Without root, hooks cannot write there; only mmdebstrap itself can.
    """
    inside = f"/var/tmp/{path.name}"  # noqa: S108 - in the new root, while nobody is there
    return [
        f'{_inside(*words)} > "$1{inside}"',
        f"download {inside} {_quoted(path)}",
        f'rm "$1{inside}"',
    ]


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _versions(rows: Iterable[list[str]]) -> dict[str, str]:
    return {name: version for name, version in rows}  # noqa: C416 - checks that there are two


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def _failed(work: Work) -> CommandFailed:
    work.log.replace(work.kept_log)
    text = work.kept_log.read_text(encoding="utf-8", errors="replace")
    reasons = [
        line for line in text.splitlines() if line.startswith(("E:", "dpkg: error", "ERROR"))
    ]
    why = tail("\n".join(reasons), 5) or tail(text)
    return CommandFailed(
        f"mmdebstrap could not make the image's root file system: {why}",
        hint=f"all that it wrote is in {work.kept_log}",
    )
