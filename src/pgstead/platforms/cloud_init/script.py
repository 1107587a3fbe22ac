"""The script that ends a machine's first boot: disk, folders, setup, services; once.

It says on the console what it does, since that is all that can be seen of a machine whose
network does not work.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from pgstead.machine import Machine
from pgstead.platforms.cloud_init.places import POSTGRESQL, postgresql_folder
from pgstead.platforms.cloud_init.units import unit_name
from pgstead.render import render

SCRIPT = "/usr/local/lib/pgstead/first-boot"
NO_AUTOSTART = "/usr/sbin/policy-rc.d"
"""Keeps packages from starting services that are not set up yet (Debian's invoke-rc.d)."""

LABEL = "pgstead-data"
DONE = "pgstead: first boot is done"
FAILED = "pgstead: first boot failed"
"""What the script's last line on the console says."""


def first_boot_script(machine: Machine, data_ids: Sequence[str]) -> str:
    """The script; the data disk is the first one that has one of those names in /dev/disk/by-id."""
    software, disk = machine.software, machine.guest.data_disk
    folders = [one for one in software.directories if not one.data]
    return render(
        "pgstead.platforms.cloud_init",
        "first-boot.j2",
        done=DONE,
        failed=FAILED,
        label=LABEL,
        devices=[shlex.quote(f"/dev/disk/by-id/{one}") for one in data_ids] if disk else [],
        mount=shlex.quote(disk.mount) if disk and disk.mount else None,
        owner=shlex.quote(disk.owner) if disk else "root",
        mode=f"{disk.mode:04o}" if disk else "0755",
        users=[shlex.quote(one.name) for one in software.users],
        folders=[_folder(one.path, one.mode, one.owner) for one in folders],
        data=[_folder(one.path, one.mode, one.owner) for one in software.directories if one.data],
        files=[(shlex.quote(one.path), shlex.quote(one.owner)) for one in software.files],
        postgresql=POSTGRESQL if postgresql_folder(machine) == POSTGRESQL else None,
        setup=[
            (
                shlex.quote(one.name),
                shlex.quote(one.creates),
                shlex.quote(one.user),
                shlex.join(one.argv),
            )
            for one in software.setup
        ],
        units=[shlex.quote(unit_name(one.name)) for one in software.services],
        policy=NO_AUTOSTART,
    )


def _folder(path: str, mode: int, owner: str) -> tuple[str, str, str]:
    return shlex.quote(path), f"{mode:04o}", shlex.quote(owner)
