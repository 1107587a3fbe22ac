"""Storage pools that the stack makes."""

from __future__ import annotations

from xml.sax.saxutils import escape

from pgstead.errors import PlatformError
from pgstead.platforms.libvirt import volumes
from pgstead.platforms.libvirt.connection import Host
from pgstead.platforms.libvirt.errors import explained


def make(host: Host, name: str, uuid: str, path: str) -> None:
    """A pool of the stack's own, if it is not there. Raises `PlatformError` for another's."""
    with host.making, explained(f"storage pool {name}", host.name):
        for each in host.connection.listAllStoragePools():
            if each.name() == name and each.UUIDString() != uuid:
                raise PlatformError(
                    f"the storage pool {name!r} on {host.name} exists and is not this stack's",
                    hint="name it under platform.pool to use it, or give yours another name",
                )
            if each.UUIDString() == uuid:
                if not each.isActive():
                    each.create()
                return
        xml = (
            f"<pool type='dir'><name>{escape(name)}</name><uuid>{uuid}</uuid>"
            f"<target><path>{escape(path)}</path><permissions><mode>0711</mode></permissions>"
            "</target></pool>"
        )
        there = host.connection.storagePoolDefineXML(xml, 0)
        there.build(0)
        there.setAutostart(1)
        there.create()


def remove(host: Host, uuid: str) -> str | None:
    """Remove a pool that the stack made, unless something is in it; then gives its name."""
    with explained("removal of a storage pool", host.name):
        for each in host.connection.listAllStoragePools():
            if each.UUIDString() != uuid:
                continue
            if each.isActive():
                volumes.refresh(each)
                if each.listAllVolumes():
                    return str(each.name())
                each.destroy()
            each.undefine()
    return None
