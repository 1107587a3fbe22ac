"""What a server is told at its first boot: access alone, or everything, within the limit."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence

from pgstead.errors import PlatformError
from pgstead.machine import Machine
from pgstead.platforms.cloud_init import (
    Access,
    access_user_data,
    after_boot,
    whole_user_data,
)
from pgstead.platforms.openstack.ground import Ground

LIMIT = 65_535
"""Bytes of user data, in base64, that Nova takes (its API's schema of servers)."""

_LARGEST = 5
_KIB = 1024


def text(
    ground: Ground, machine: Machine, bindings: Mapping[str, str], data_ids: Sequence[str]
) -> str:
    """A machine's user data, as cloud-init reads it.

    `bindings` replace bootstrap-only values, where it holds the machine's files at all;
    `data_ids` are the names that the data disk may have in /dev/disk/by-id.
    """
    reached = ground.settings.delivery == "reach"
    host_key = ground.keys.host(machine.name)
    access = Access(
        authorized_keys=(ground.keys.admin().public,) if reached else (),
        host_key=(host_key.private, host_key.public),
        default_user=machine.guest.cloud.key_pair is not None,
    )
    if reached:
        return access_user_data(machine, access)
    return whole_user_data(machine, access, bindings=bindings, data_ids=data_ids)


def mark(content: str, bindings: Mapping[str, str]) -> str:
    """A digest that tells whether a server was begun with this user data, and those bindings.

    It holds the host's private key, so nothing can be guessed from its digest.
    """
    whole = json.dumps([content, sorted(bindings.items())])
    return hashlib.sha256(whole.encode()).hexdigest()


def packed(content: str) -> str:
    """Compressed, which cloud-init sees by itself, and in base64, as Nova takes it."""
    return base64.b64encode(_gzip(content)).decode()


def _gzip(content: str) -> bytes:
    return gzip.compress(content.encode(), compresslevel=9, mtime=0)


def check_fits(machine: Machine, content: str) -> None:
    """Raise `PlatformError`, telling what takes the room, if Nova would refuse the user data."""
    size = len(packed(content))
    if size <= LIMIT:
        return
    listed = ", ".join(f"{path} {room / _KIB:.1f} KiB" for path, room in _largest(machine))
    raise PlatformError(
        f"the user data of {machine.name} takes {size / _KIB:.1f} KiB, compressed and in base64,"
        f" and a cloud takes {LIMIT / _KIB:.0f} KiB; most of it: {listed}",
        hint="use delivery: reach, or an image that holds these files already",
    )


def _largest(machine: Machine) -> list[tuple[str, int]]:
    """Paths, and the bytes that each takes by itself, the largest ones first."""
    files = (*machine.software.files, *after_boot(machine, ()))
    rooms = [(one.path, len(base64.b64encode(_gzip(one.content)))) for one in files]
    return sorted(rooms, key=lambda one: -one[1])[:_LARGEST]
