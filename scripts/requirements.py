"""Print what pyproject.toml asks for, one requirement a line: `run`, `dev`, `libvirt` or `all`.

Older pips (Debian 12, Ubuntu 24.04) cannot read dependency groups, so this does.
`all` adds what builds the package, for the lock.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def requirements(kind: str) -> list[str]:
    """The requirements of that kind; raises KeyError for a kind that does not exist."""
    project = tomllib.loads(PROJECT.read_text("utf-8"))
    run: list[str] = project["project"]["dependencies"]
    dev: list[str] = project["dependency-groups"]["dev"]
    libvirt: list[str] = project["project"]["optional-dependencies"]["libvirt"]
    dev += project["project"]["optional-dependencies"]["openstack"]
    build: list[str] = [*project["build-system"]["requires"], "editables"]
    everything = [*run, *dev, *libvirt, *build]
    return {"run": run, "dev": dev, "libvirt": libvirt, "all": everything}[kind]


if __name__ == "__main__":
    print("\n".join(requirements(sys.argv[1])))
