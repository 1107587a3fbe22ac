"""What the benches that boot virtual machines share: a daemon, an image, both sides in turn.

All stands on one libvirtd in namespaces of its own (`tests/support/libvirt.py`), and boots the
same image with the same memory, by hand and by pgstead.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from measures import ROOT, Measure, keep, note, ratio, seconds, show

sys.path.append(str(ROOT / "tests"))
from support import virtual
from support.libvirt import Libvirtd, libvirtd

PGSTEAD = Path(sys.executable).with_name("pgstead")
PROGRAMS = ("genisoimage", "openssl", "virsh")
"""What the scripts take besides."""

LIMIT = 1.2


@dataclass(frozen=True)
class Ground:
    """A daemon, a folder that the emulator's user may pass, and a bootable image."""

    daemon: Libvirtd
    folder: Path
    image: Path

    def platform(self, subnet: str, deadline: int) -> dict[str, Any]:
        """What a stack file says of it; `deadline` is in seconds, for a boot and its setup."""
        return {
            "kind": "libvirt",
            "virt_type": "qemu",
            "image": str(self.image),
            "network": "bench",
            "networks": {"bench": {"subnet": subnet, "mode": "isolated"}},
            "pools": {"default": {"path": str(self.daemon.images / "pool")}},
            "data_size": 1,
            "boot_deadline": deadline,
            "cloud_init_deadline": deadline,
        }

    def write(self, document: dict[str, Any]) -> Path:
        """Write the stack file."""
        return self.keep("stack.yaml", yaml.safe_dump(document))

    def keep(self, name: str, text: str) -> Path:
        """Write a file that only its owner can read."""
        file = self.folder / name
        file.touch(mode=0o600)
        file.write_text(text)
        return file

    def pgstead(self, *words: str | Path) -> tuple[float, str]:
        """Run a command beside the daemon: its seconds, and what it wrote."""
        return seconds([*self.daemon.enter, PGSTEAD, *words])

    def up(self, document: dict[str, Any]) -> tuple[float, dict[str, Any]]:
        """Bring a stack up: the whole process's seconds, and its result. Destroyed afterwards."""
        file = self.write(document)
        try:
            took, output = self.pgstead("up", file, "--yes", "--format", "json")
            return took, json.loads(output)
        finally:
            self.pgstead("destroy", file, "--yes", "--delete-data")
            shutil.rmtree(self.folder / ".pgstead", ignore_errors=True)

    def by_hand(self, script: str, *words: str | Path) -> dict[str, Any]:
        """What one of the scripts beside this file says, which has such options as well."""
        program = (sys.executable, Path(__file__).with_name(script))
        own = ("--image", self.image, "--parent", self.folder)
        output = seconds([*self.daemon.enter, *program, *own, *words])[1]
        found: dict[str, Any] = json.loads(output)
        return found


def why_not() -> str | None:
    """The reason why nothing can be booted here; None if it can."""
    if (reason := virtual.why_not()) is not None:
        return reason
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"not installed: {', '.join(lacking)}" if lacking else None


@contextmanager
def ground() -> Iterator[Ground]:
    """A daemon that runs meanwhile, with nothing in it."""
    from pgstead.image.cache import usual_image  # noqa: PLC0415 - seldom

    image = usual_image(say=note).image
    with tempfile.TemporaryDirectory(prefix="pgs-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        with libvirtd() as daemon:
            yield Ground(daemon, Path(folder), image)


Side = Callable[[Ground], float]
"""Makes everything once, and removes it: seconds to the first write."""


def in_turn(what: str, rounds: int, hand: Side, ours: Side) -> list[Measure]:
    """Both sides in turn and their ratio; nothing, with a word, where nothing can be booted."""
    if (reason := why_not()) is not None:
        note(f"{what} is left out: {reason}")
        return []
    found: dict[str, list[float]] = {"by hand": [], "pgstead up": []}
    with ground() as made:
        for number in range(1, rounds + 1):
            for name, side in zip(found, (hand, ours), strict=True):
                found[name].append(side(made))
                note(f"round {number} of {rounds}: {what}, {name} {found[name][-1]:.1f} s")
    yardstick, own = (Measure(f"{what}, {name}: SQL", tuple(took)) for name, took in found.items())
    return [yardstick, own, ratio(f"{what}, pgstead to by hand", own, yardstick, LIMIT)]


def run(description: str | None, measure: Callable[[int], list[Measure]], rounds: int) -> None:
    """Such a bench on its own: measure, print, keep; so many rounds unless told otherwise."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds)
    measures = measure(parser.parse_args().rounds)
    show(measures)
    keep(measures)
