"""Storage pools and volumes."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from xml.sax.saxutils import escape

import libvirt

from pgstead.errors import PlatformError, Refused
from pgstead.platforms.libvirt import folders
from pgstead.platforms.libvirt.connection import Host
from pgstead.platforms.libvirt.domain_xml import parsed
from pgstead.platforms.libvirt.errors import explained, names
from pgstead.waiting import wait

GIB = 1024**3
REFRESH_SECONDS = 300.0
"""For others' volumes, which may be copies of images."""

_FOLDERS = ("dir", "fs", "netfs", "vstorage")
"""Kinds of pools whose volumes are files, which may be qcow2."""


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume that is there. `capacity` is in bytes."""

    pool: str
    name: str
    path: str
    format: str
    capacity: int
    handle: Any


def pool(host: Host, name: str) -> Any:
    """The storage pool of that name, active. Raises `PlatformError` with those that exist."""
    with explained(f"storage pool {name}", host.name):
        found = {each.name(): each for each in host.connection.listAllStoragePools()}
        if name not in found:
            raise PlatformError(
                f"there is no storage pool {name!r} on {host.name}",
                hint=f"{names(list(found))}; `platform.pools` has pgstead make one",
            )
        if not found[name].isActive():
            found[name].create()
        return found[name]


def refresh(there: Any) -> None:
    """Look into a pool anew. libvirt refuses that while a volume is made in it: then wait."""
    wait(
        lambda: _refreshed(there),
        deadline=REFRESH_SECONDS,
        what=f"the volumes that are made in the storage pool {there.name()}",
    )


def _refreshed(there: Any) -> bool:
    try:
        there.refresh()
    except libvirt.libvirtError as error:
        if "asynchronous jobs" in str(error.get_error_message()):
            return False
        raise
    return True


def find(host: Host, pool_name: str, name: str) -> Volume | None:
    """The volume of that name in a pool."""
    there = pool(host, pool_name)
    try:
        return _volume(pool_name, there.storageVolLookupByName(name))
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_VOL:
            raise
    # Somebody may have put it there since libvirt looked.
    with explained(f"storage pool {pool_name}", host.name):
        refresh(there)
        found = {each.name(): each for each in there.listAllVolumes()}
    return _volume(pool_name, found[name]) if name in found else None


def existing(host: Host, pool_name: str, given: str) -> Volume:
    """A volume that somebody else made, by its path, its key, its pool and name, or its name.

    A name alone is looked for in that pool first, then in all others. Raises `PlatformError`
    with those that exist.
    """
    connection = host.connection
    for look in (connection.storageVolLookupByPath, connection.storageVolLookupByKey):
        try:
            handle = look(given)
            return _volume(handle.storagePoolLookupByVolume().name(), handle)
        except libvirt.libvirtError:
            continue
    where, slash, name = given.rpartition("/")
    found = None
    if not slash:
        found = find(host, pool_name, given) or _elsewhere(host, given)
    elif "/" not in where and where:
        found = find(host, where, name)
    if found is None:
        raise _no_volume(host, pool_name, given)
    return found


def _elsewhere(host: Host, name: str) -> Volume | None:
    """The volume of that name in whichever pool has it. Raises `PlatformError` for several."""
    active = libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE
    with explained(f"search of the volume {name}", host.name):
        pools = host.connection.listAllStoragePools(active)
        found = sorted(str(each.name()) for each in pools if name in each.listVolumes())
    if len(found) > 1:
        raise PlatformError(
            f"several storage pools on {host.name} have a volume {name!r}",
            hint=f"name one of them: {', '.join(f'{pool_name}/{name}' for pool_name in found)}",
        )
    return find(host, found[0], name) if found else None


def _no_volume(host: Host, pool_name: str, given: str) -> PlatformError:
    there = pool(host, pool_name)
    folder = parsed(there.XMLDesc()).findtext("target/path")
    where = f"pool {pool_name} ({folder})" if folder else f"pool {pool_name}"
    return PlatformError(
        f"there is no volume {given!r} on {host.name}",
        hint=f"in {where} {names([each.name() for each in there.listAllVolumes()])}",
    )


def clone(host: Host, pool_name: str, name: str, base: Volume, size: int | None) -> Volume:
    """A volume on top of a base image, which stays as it is; of `size` GiB.

    Where the pool cannot hold such volumes it is a copy. Raises `Refused` for a size below
    the base image's.
    """
    capacity = base.capacity if size is None else size * GIB
    if capacity < base.capacity:
        raise Refused(
            f"{name}: {size} GiB are less than the image {base.name} has"
            f" ({_gib(base.capacity)} GiB)",
            hint=f"make it at least {-(-base.capacity // GIB)} GiB",
        )
    there = pool(host, pool_name)
    with explained(f"volume {name}", host.name):
        if kind_of(there) in _FOLDERS:
            backing = (
                f"<backingStore><path>{escape(base.path)}</path>"
                f"<format type='{base.format}'/></backingStore>"
            )
            handle = there.createXML(_xml(name, capacity, "qcow2", backing), 0)
        else:
            handle = there.createXMLFrom(_xml(name, capacity, None), base.handle, 0)
    return _volume(pool_name, handle)


def make(host: Host, pool_name: str, name: str, size: int) -> Volume:
    """An empty volume of `size` GiB, which takes room as it fills."""
    there = pool(host, pool_name)
    kind = "qcow2" if kind_of(there) in _FOLDERS else None
    with explained(f"volume {name}", host.name):
        return _volume(pool_name, there.createXML(_xml(name, size * GIB, kind), 0))


def make_folder(host: Host, pool_name: str, name: str) -> Volume:
    """An empty folder."""
    there = pool(host, pool_name)
    with explained(f"volume {name}", host.name):
        return _volume(pool_name, there.createXML(_xml(name, 0, folders.FORMAT, mode="0755"), 0))


def upload(host: Host, pool_name: str, name: str, content: bytes) -> Volume:
    """A raw volume with that content; one of that name is replaced."""
    remove(host, pool_name, name)
    there = pool(host, pool_name)
    kind = "raw" if kind_of(there) in _FOLDERS else None
    with explained(f"volume {name}", host.name):
        handle = there.createXML(_xml(name, len(content), kind, mode="0600"), 0)
        _send(host, handle, io.BytesIO(content), len(content))
        return _volume(pool_name, handle)


def upload_image(host: Host, pool_name: str, file: Path, suffix: str) -> Volume:
    """A base image of this machine as a volume, named by its content and that suffix; once."""
    name = image_name(file, suffix)
    found = find(host, pool_name, name)
    if found is not None:
        return found
    there = pool(host, pool_name)
    size = file.stat().st_size
    with explained(f"upload of {file}", host.name):
        kind = "qcow2" if _is_qcow2(file) else "raw"
        handle = there.createXML(_xml(name, size, kind), 0)
        try:
            with file.open("rb") as content:
                _send(host, handle, content, size)
        except BaseException:
            handle.delete(0)
            raise
        refresh(there)
        return _volume(pool_name, there.storageVolLookupByName(name))


def image_name(file: Path, suffix: str) -> str:
    """What the volume of an image of this machine is called."""
    return f"{file.stem}-{_digest(file)}{suffix}"


def remove(host: Host, pool_name: str, name: str) -> bool:
    """Delete a volume, if it is there; whether it was."""
    found = find(host, pool_name, name)
    if found is None:
        return False
    with explained(f"volume {name}", host.name):
        _delete(found.handle)
    return True


def remove_ending(host: Host, suffix: str) -> None:
    """Delete the volumes whose names end so, in any pool that is active."""
    active = libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE
    with explained(f"removal of volumes *{suffix}", host.name):
        for there in host.connection.listAllStoragePools(active):
            for name in there.listVolumes():
                if name.endswith(suffix):
                    _delete(there.storageVolLookupByName(name))


def _delete(handle: Any) -> None:
    """A folder is emptied first: libvirt deletes none with something in it."""
    if _format(handle) == folders.FORMAT:
        folders.clear(handle.path())
    handle.delete(0)


def capacity(volume: Volume) -> int:
    """Its size in bytes, as it is now."""
    return int(volume.handle.info()[1])


def kind_of(there: Any) -> str:
    """A pool's kind: `dir`, `logical`, ..."""
    return parsed(there.XMLDesc()).get("type", "")


def _volume(pool_name: str, handle: Any) -> Volume:
    return Volume(
        pool_name,
        handle.name(),
        handle.path(),
        _format(handle),
        int(handle.info()[1]),
        handle,
    )


def _format(handle: Any) -> str:
    kind = parsed(handle.XMLDesc()).find("target/format")
    return "raw" if kind is None else kind.get("type", "raw")


def _xml(name: str, size: int, kind: str | None, backing: str = "", mode: str = "") -> str:
    kind_xml = f"<format type='{kind}'/>" if kind else ""
    permissions = f"<permissions><mode>{mode}</mode></permissions>" if mode else ""
    return (
        f"<volume><name>{escape(name)}</name><capacity unit='bytes'>{size}</capacity>"
        f"<target>{kind_xml}{permissions}</target>{backing}</volume>"
    )


def _send(host: Host, handle: Any, content: IO[bytes], size: int) -> None:
    stream = host.connection.newStream(0)
    try:
        handle.upload(stream, 0, size, 0)
        stream.sendAll(lambda _stream, count, source: source.read(count), content)
        stream.finish()
    except BaseException:
        _abort(stream)
        raise


def _abort(stream: Any) -> None:
    try:
        stream.abort()
    except libvirt.libvirtError:
        return


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()[:16]
    except OSError as error:
        raise PlatformError(f"the image {file} cannot be read: {error.strerror}") from error


def _is_qcow2(file: Path) -> bool:
    with file.open("rb") as content:
        return content.read(4) == b"QFI\xfb"


def _gib(size: int) -> str:
    return f"{size / GIB:.1f}"
