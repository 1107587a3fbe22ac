"""What containers are made from: folders in a pool of this machine, and images unpacked there."""

from __future__ import annotations

import tarfile
from pathlib import Path

from pgstead.errors import PlatformError
from pgstead.platforms.libvirt import folders, volumes
from pgstead.platforms.libvirt.connection import Host
from pgstead.platforms.libvirt.volumes import Volume
from pgstead.run import run

MOUNTS = "/.pgstead"
"""In an image: where a container's folders are mounted before its system is put together."""

_MOUNT_POINTS = ("system", "data", "seed", "root")
_UNPACK_SECONDS = 900.0


def make(host: Host, pool: str, name: str) -> Volume:
    """An empty folder, or the one of that name. Raises `PlatformError` on another machine."""
    if not host.is_local:
        raise PlatformError(
            f"containers cannot be made on {host.name} from here",
            hint="run pgstead on that machine, with the URI lxc:///system",
        )
    return volumes.find(host, pool, name) or volumes.make_folder(host, pool, name)


def unpack(host: Host, pool: str, file: Path, suffix: str) -> Volume:
    """What is in a tar of a root file system, as the base of containers; unpacked once.

    Raises `PlatformError` for a file that is no tar.
    """
    if not _is_tar(file):
        raise PlatformError(
            f"{file} is no tar of a root file system, which containers are made from",
            hint="`pgstead image build --rootfs FILE` writes one",
        )
    made = make(host, pool, volumes.image_name(file, suffix))
    fill(Path(made.path), file)
    return made


def fill(root: Path, file: Path) -> None:
    """Make a folder the base of containers, from a tar; again where that was not finished."""
    ready = root / MOUNTS.strip("/")
    if ready.exists():
        return
    folders.clear(str(root))
    words = ("--preserve-permissions", "--same-owner", "--numeric-owner", "--xattrs")
    run(["tar", "-xf", file, "-C", root, *words], timeout=_UNPACK_SECONDS)
    with folders.writing(str(root)):
        # What it says about disks holds for virtual machines alone.
        (root / "etc/fstab").write_text("", encoding="utf-8")
        part = root / f"{ready.name}.part"
        for each in _MOUNT_POINTS:
            (part / each).mkdir(parents=True)
        part.rename(ready)


def _is_tar(file: Path) -> bool:
    try:
        return tarfile.is_tarfile(file)
    except OSError:
        return False
