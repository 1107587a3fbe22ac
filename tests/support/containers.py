"""What stacks on libvirt's LXC driver need: the image's root file system, unpacked once."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import Any

import libvirt

from pgstead.errors import PgsteadError
from pgstead.image.cache import usual_image
from pgstead.image.tools import require_rights, require_tools
from pgstead.platforms.libvirt.drivers.rootfs import fill
from support import libvirt as daemons
from support.libvirt import Libvirtd

SIZE = {"memory": 512, "vcpus": 1}
NETWORK = "10.99.0.0/24"
POOL = "images"


def why_not() -> str | None:
    """The reason why no containers can be tested here; None if they can."""
    if (reason := daemons.why_not("lxc")) is not None:
        return reason
    try:
        require_tools()
        require_rights()
    except PgsteadError as error:
        return error.message
    return None


def unpacked() -> Path:
    """The root file system of the usual image as a folder, kept in the cache beside it."""
    tar = usual_image(say=print, rootfs=True).rootfs
    assert tar is not None
    root = tar.parent / "roots" / tar.stem
    root.mkdir(parents=True, exist_ok=True)
    with (tar.parent / f"{tar.stem}.roots-lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fill(root, tar)
    return root


def offered(daemon: Libvirtd, root: Path) -> str:
    """Have the daemon know the unpacked root as a volume; gives its path."""
    connection = libvirt.open(daemon.containers)
    xml = f"<pool type='dir'><name>{POOL}</name><target><path>{root.parent}</path></target></pool>"
    connection.storagePoolCreateXML(xml)
    connection.close()
    return str(root)


def platform(daemon: Libvirtd, image: str) -> dict[str, Any]:
    """The settings of a stack on that daemon."""
    return {
        "kind": "libvirt",
        "uri": daemon.containers,
        "image": image,
        "network": "things",
        "networks": {"things": {"subnet": NETWORK, "mode": "isolated"}},
        "pools": {"default": {"path": str(daemon.images / "pool")}},
        "boot_deadline": 90,
        "cloud_init_deadline": 120,
    }
