"""What differs between virtual machines (QEMU) and containers (LXC), behind one protocol."""

from __future__ import annotations

from pgstead.platforms.libvirt.connection import Host
from pgstead.platforms.libvirt.drivers.base import Driver
from pgstead.platforms.libvirt.drivers.lxc import Lxc
from pgstead.platforms.libvirt.drivers.qemu import Qemu

__all__ = ["Driver", "driver_of"]

_LXC, _QEMU = Lxc(), Qemu()


def driver_of(host: Host) -> Driver:
    """What a host's URI says that its machines are."""
    return _LXC if host.driver == "lxc" else _QEMU
