"""What a server would be begun with, as a file to read; the cloud is not asked."""

from __future__ import annotations

from pgstead.machine import Machine
from pgstead.platforms.guests.hiding import hidden
from pgstead.platforms.openstack import user_data
from pgstead.platforms.openstack.ground import Ground

DATA_ID = "(a name by the id of the data volume)"
"""Stands for the data disk's names in /dev/disk/by-id: the cloud gives the volume its id."""


def shown(ground: Ground, machine: Machine, *, secrets: bool) -> dict[str, str]:
    """A complete machine's user data, by file name, as cloud-init reads it."""
    told = machine if secrets else hidden(machine)
    data_ids = () if machine.guest.data_disk is None else (DATA_ID,)
    return {"cloud-init/user-data": user_data.text(ground, told, {}, data_ids)}
