"""`pgstead plan` on a libvirt host that has many domains of others.

The daemon is a real one in namespaces of its own (`tests/support/libvirt.py`). The domains
are defined, not running; so are the stack's own machines, which are made by `pgstead up`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from measures import ROOT, Measure, keep, note, seconds, show

sys.path.append(str(ROOT / "tests"))
from support.libvirt import Libvirtd, libvirtd, why_not

PGSTEAD = Path(sys.executable).with_name("pgstead")
DOMAINS = 200
MACHINES = 7
LIMIT = 3.0
ROUNDS = 5
SUBNET = "10.98.0.0/24"


def domain(number: int) -> str:
    """The XML of somebody else's machine."""
    return (
        f"<domain type='qemu'><name>other-{number}</name><uuid>{uuid.uuid4()}</uuid>"
        "<memory unit='MiB'>512</memory><vcpu>1</vcpu><os><type>hvm</type></os><devices>"
        f"<disk type='file' device='disk'><source file='/nowhere/{number}.qcow2'/>"
        "<target dev='vda' bus='virtio'/></disk><interface type='network'>"
        f"<mac address='52:54:01:00:{number >> 8:02x}:{number & 255:02x}'/>"
        "<source network='bench'/></interface><serial type='pty'/></devices></domain>"
    )


@contextmanager
def host(count: int) -> Iterator[Libvirtd]:
    """A daemon that knows so many domains."""
    import libvirt  # noqa: PLC0415 - may be missing

    with libvirtd() as made:
        connection = libvirt.open(made.uri)
        for number in range(count):
            connection.defineXML(domain(number))
        connection.close()
        yield made


def platform(made: Libvirtd) -> dict[str, Any]:
    """What stack files say of it."""
    return {
        "kind": "libvirt",
        "uri": made.uri,
        "virt_type": "qemu",
        "image": str(made.folder.parent / "image.raw"),
        "pools": {"default": {"path": str(made.images / "pool")}},
        "network": "bench",
        "networks": {"bench": {"subnet": SUBNET, "mode": "isolated"}},
    }


def cluster(made: Libvirtd) -> dict[str, Any]:
    """A cluster of seven machines, none of which was made."""
    return {"name": "bench-cluster", "platform": platform(made), "cluster": {}}


def standing(made: Libvirtd) -> dict[str, Any]:
    """As many machines that are made, and are off: load balancers, which belong to nothing."""
    names = [f"balancer-{number}" for number in range(MACHINES)]
    modules = {
        name: {
            "source": "postgres-load-balancer",
            "name": name,
            "ca": "bench",
            "running": False,
            "haproxy": {"members": [{"name": "p", "ip": "10.98.0.9"}]},
        }
        for name in names
    }
    return {
        "name": "bench-standing",
        "platform": platform(made),
        "certificate_authorities": {"bench": {}},
        "modules": modules,
    }


def measure(count: int = DOMAINS, rounds: int = ROUNDS) -> list[Measure]:
    """Both plans; nothing where no libvirtd can run."""
    if (reason := why_not()) is not None:
        note(f"plans with {count} domains are left out: {reason}")
        return []
    folder = Path(tempfile.mkdtemp(prefix="pgstead-domains-", dir="/var/tmp"))
    try:
        with host(count) as made:
            return _measured(made, folder, count, rounds)
    finally:
        shutil.rmtree(folder)


def _measured(made: Libvirtd, folder: Path, count: int, rounds: int) -> list[Measure]:
    (made.folder.parent / "image.raw").write_bytes(bytes(1 << 20))
    first, second = folder / "cluster.yaml", folder / "standing.yaml"
    first.write_text(yaml.safe_dump(cluster(made)))
    second.write_text(yaml.safe_dump(standing(made)))
    seconds([PGSTEAD, "up", second, "--yes"])
    try:
        return [
            _plans(f"{count} domains: plan, {MACHINES} machines to make", first, rounds),
            _plans(f"{count} domains: plan, {MACHINES} machines made", second, rounds),
        ]
    finally:
        seconds([PGSTEAD, "destroy", second, "--yes", "--delete-data"])


def _plans(what: str, file: Path, rounds: int) -> Measure:
    found = tuple(seconds([PGSTEAD, "plan", file])[0] for _ in range(rounds))
    note(f"{what}: {min(found):.2f} to {max(found):.2f} s")
    return Measure(what, found, limit=LIMIT)


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--domains", type=int, default=DOMAINS)
    measures = measure(parser.parse_args().domains)
    show(measures)
    keep(measures)


if __name__ == "__main__":
    main()
