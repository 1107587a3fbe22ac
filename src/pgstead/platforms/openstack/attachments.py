"""What holds a volume for a server that there is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgstead.platforms.openstack.errors import explained
from pgstead.platforms.openstack.ground import Ground

if TYPE_CHECKING:
    from pgstead.platforms.openstack.volumes import Volume

RESERVED = "reserved"
"""An attachment that no host has connected anything by yet."""


def release(ground: Ground, volume: Volume) -> None:
    """Take back what a volume of the stack's own is reserved for, if nova knows no such server.

    Nova reserves volumes for a server before it makes it. Where cinder dies with the answer,
    nova never learns what it would have to take back, and the volume would be reserved for ever.
    Nothing was connected by then, on no host: no server can be writing to it.
    """
    if volume.status != RESERVED:
        return
    with explained(f"reservations of the volume {volume.name}"):
        for one in list(ground.cloud.block_storage.attachments(volume_id=volume.id)):
            if one.status == RESERVED and not _is_known(ground, one.instance):
                ground.cloud.block_storage.delete_attachment(one.id, ignore_missing=True)


def _is_known(ground: Ground, server: Any) -> bool:
    from openstack.exceptions import NotFoundException  # noqa: PLC0415 - as the SDK tells it

    if not server:  # somebody reserved it for something else
        return True
    try:
        ground.cloud.compute.get_server(server)
    except NotFoundException:
        return False
    return True
