"""All of a machine's software, laid down on one that has nothing but its admin's access yet.

The same as by the user data of a first boot (`platforms.cloud_init`), but pushed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pgstead.errors import PlatformError
from pgstead.machine import File, bind
from pgstead.platforms.cloud_init import NO_CLUSTER, SCRIPT, after_boot
from pgstead.platforms.guests import installing
from pgstead.platforms.guests.guest import Guest
from pgstead.run import tail

SECONDS = installing.SECONDS
"""For the setup commands, which may download and compile."""

_LINES = 15


def lay_down(guest: Guest, bindings: Mapping[str, str], data_ids: Sequence[str]) -> None:
    """Install packages, write every file, then run the script of a first boot. May be repeated.

    `bindings` replace bootstrap-only values; `data_ids` are the names that the data disk may
    have in /dev/disk/by-id. Raises `PlatformError` with what the script said when it failed.
    """
    machine = guest.machine
    packages = machine.software.packages if machine.guest.install else ()
    if packages:
        guest.way.push(NO_CLUSTER)
        installing.install(guest, packages)
    for file in (*machine.software.files, *after_boot(machine, data_ids)):
        guest.way.push(_first(file, bindings))
    _run_script(guest)


def _first(file: File, bindings: Mapping[str, str]) -> File:
    """Root's for now: the script makes the users, and gives each file its owner."""
    return replace(file, content=bind(file.content, bindings), owner="root")


def _run_script(guest: Guest) -> None:
    done = guest.way.run([SCRIPT], timeout=SECONDS)
    if done.code != 0:
        said = tail("\n".join(part for part in (done.stdout, done.stderr) if part), _LINES)
        raise PlatformError(
            f"the setup of {guest.name} failed:\n{said}",
            hint="what is wrong with the machine can be looked at in it; a rerun begins here",
        )
