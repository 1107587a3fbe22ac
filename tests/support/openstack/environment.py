"""The lab's own Python environment, in the cache: its pins clash with those of the project.

It is named after the pins and the interpreter, so that a change of either makes another one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pgstead.caches import cache_folder
from pgstead.errors import CommandFailed
from pgstead.run import run

HERE = Path(__file__).parent
LOCK = HERE / "requirements.lock"
DIGITS = 16
COMPLETE = "complete"
"""The file in a folder of the cache that is whole; its time is when that was last used."""

INSTALL_SECONDS = 900.0
KEPT_SECONDS = 14 * 86400.0
"""How long something is kept that is not used."""

IMPATIENT = ("--disable-pip-version-check", "--retries=1", "--timeout=20")
"""Without a network, tests are skipped soon."""

METADATA = "Metadata-Version: 2.1\nName: openstack-lab\nVersion: 1\n"
ENTRY_POINTS = """\
[neutron.ml2.mechanism_drivers]
anywhere = support.openstack.inside.ports:Anywhere
"""
"""Neutron finds its drivers as entry points of installed packages only."""


def base_folder() -> Path:
    """Where environments and initial states are kept: they can be made again."""
    return cache_folder() / "openstack-lab"


@dataclass(frozen=True)
class Environment:
    """An environment that is there."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def etc(self) -> Path:
        """The configuration that comes with the services."""
        return self.folder / "etc"

    @property
    def variables(self) -> dict[str, str]:
        """What processes get that run with it; no proxy, since all they ask is on loopback."""
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
        return {
            **kept,
            "PATH": f"{self.folder / 'bin'}:{os.environ.get('PATH', '/usr/bin:/bin')}",
            "PYTHONPATH": str(HERE.parent.parent),
            "PYTHONSAFEPATH": "1",
            "PYTHONWARNINGS": "ignore",
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "LAB_ETC": str(self.etc),
        }


def digest() -> str:
    """What an environment is named after."""
    parts = (sys.version.encode(), ENTRY_POINTS.encode(), LOCK.read_bytes())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:DIGITS]


def installed() -> Environment:
    """The environment, installed first if it is not there: 100 s with pip, 10 s with uv.

    Raises `CommandFailed`, with what the installer said.
    """
    made = Environment(base_folder() / digest())
    base_folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(base_folder() / "install.lock"):
        stamp = made.folder / COMPLETE
        if not stamp.exists():
            forget_unused()
            _install(made)
        stamp.touch()
    return made


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """One process at a time."""
    with file.open("wb") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _install(made: Environment) -> None:
    shutil.rmtree(made.folder, ignore_errors=True)
    run([sys.executable, "-m", "venv", made.folder], timeout=INSTALL_SECONDS)
    pip = (made.python, "-m", "pip", "install", "--quiet", *IMPATIENT)
    fast = (made.python, "-m", "uv", "pip", "install", "--quiet", "--no-cache")
    here = ("--compile-bytecode", f"--python={made.python}")
    try:
        run([*pip, "uv"], timeout=INSTALL_SECONDS)
        run([*fast, *here, "--requirement", LOCK], timeout=INSTALL_SECONDS)
    except CommandFailed:  # it is only faster
        run([*pip, "--requirement", LOCK], timeout=INSTALL_SECONDS)
    _announce(made)


def _announce(made: Environment) -> None:
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(run([made.python, "-c", code]).stdout.strip())
    announced = packages / "openstack_lab-1.dist-info"
    announced.mkdir(exist_ok=True)
    announced.joinpath("METADATA").write_text(METADATA)
    announced.joinpath("entry_points.txt").write_text(ENTRY_POINTS)


def forget_unused() -> None:
    """Remove environments, 0.8 GB each, and initial states that nobody asked for lately."""
    for stamp in base_folder().glob(f"*/{COMPLETE}"):
        with suppress(FileNotFoundError):  # another process is forgetting it
            if time.time() - stamp.stat().st_mtime > KEPT_SECONDS:
                shutil.rmtree(stamp.parent, ignore_errors=True)
