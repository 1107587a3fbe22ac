"""One virtual machine with PostgreSQL: `pgstead up` beside the same made by hand, in turn.

Both stand on one libvirtd in namespaces of its own (`tests/support/libvirt.py`), boot the same
image with the same memory, and are measured as whole processes until the first write.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from measures import ROOT, Measure, keep, note, ratio, seconds, show

sys.path.append(str(ROOT / "tests"))
from support.libvirt import Libvirtd, libvirtd, why_not

PGSTEAD = Path(sys.executable).with_name("pgstead")
HANDMADE = Path(__file__).with_name("handmade_machine.py")
LIMIT = 1.2
NAME = "bench-machine"


def document(image: Path, pool: Path) -> dict[str, object]:
    """The stack file of the machine."""
    return {
        "name": NAME,
        "platform": {
            "kind": "libvirt",
            "virt_type": "qemu",
            "image": str(image),
            "network": "bench",
            "networks": {"bench": {"subnet": "10.78.0.0/24", "mode": "isolated"}},
            "pools": {"default": {"path": str(pool)}},
            "data_size": 1,
            "boot_deadline": 900,
        },
        "certificate_authorities": {"bench": {}},
        "modules": {
            "postgres": {
                "source": "postgres-server",
                "name": "postgres",
                "ca": "bench",
                "key_length": None,
                "vcpus": 1,
                "memory": 512,
                "install_dependencies": False,
                "postgres_user": "owner",
                "postgres_database": "things",
                "postgres_params": "-c 'shared_buffers=32MB'",
            }
        },
    }


@contextmanager
def host() -> Iterator[tuple[Libvirtd, Path]]:
    """A daemon, and a folder that the emulator's user may pass."""
    with tempfile.TemporaryDirectory(prefix="pgs-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        with libvirtd(Path(folder) / "lv") as daemon:
            yield daemon, Path(folder)


def by_hand(daemon: Libvirtd, folder: Path, image: Path) -> float:
    """Seconds to the first write of the machine made by hand."""
    words: list[str | Path] = [
        *daemon.enter,
        sys.executable,
        HANDMADE,
        "--image",
        image,
        "--parent",
        folder,
    ]
    return float(json.loads(seconds(words)[1])["seconds"])


def by_pgstead(daemon: Libvirtd, folder: Path, image: Path) -> float:
    """Seconds of `pgstead up` as a whole process, the first write among them."""
    file = folder / "stack.yaml"
    file.write_text(yaml.safe_dump(document(image, daemon.images / "pool")))
    try:
        return seconds([*daemon.enter, PGSTEAD, "up", file, "--yes", "--format", "json"])[0]
    finally:
        seconds([*daemon.enter, PGSTEAD, "destroy", file, "--yes", "--delete-data"])
        shutil.rmtree(folder / ".pgstead", ignore_errors=True)


def measure(rounds: int = 1) -> list[Measure]:
    """Both in turn; nothing where no libvirtd can run."""
    if (reason := why_not()) is not None:
        note(f"one virtual machine is left out: {reason}")
        return []
    from pgstead.image.cache import usual_image  # noqa: PLC0415 - seldom

    image, hand, ours = usual_image(say=note).image, [], []
    with host() as (daemon, folder):
        for number in range(1, rounds + 1):
            hand.append(by_hand(daemon, folder, image))
            note(f"round {number} of {rounds}: one machine by hand {hand[-1]:.1f} s")
            ours.append(by_pgstead(daemon, folder, image))
            note(f"round {number} of {rounds}: one machine by pgstead {ours[-1]:.1f} s")
    yardstick = Measure("one virtual machine by hand: SQL", tuple(hand))
    found = Measure("one virtual machine, pgstead up: SQL", tuple(ours))
    return [
        yardstick,
        found,
        ratio("one virtual machine, pgstead to by hand", found, yardstick, LIMIT),
    ]


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    measures = measure(parser.parse_args().rounds)
    show(measures)
    keep(measures)


if __name__ == "__main__":
    main()
