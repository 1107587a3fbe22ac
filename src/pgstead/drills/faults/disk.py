"""The leader's disk full, where that fills nobody else's."""

from __future__ import annotations

from dataclasses import dataclass

from pgstead.drills.fault import Scene
from pgstead.drills.faults import choosing
from pgstead.drills.faults.striking import Struck, ending, strike
from pgstead.drills.faults.undoing import Remove
from pgstead.errors import PgsteadError, PlatformError, Refused
from pgstead.machine import path

SMALL = 10 * 2**30
"""Bytes of the largest file system that a drill fills."""

BALLAST = "pgstead-drill-ballast"

LASTS = 30.0
"""Seconds: PostgreSQL may go on for a while, or give errors without end, and not die of it."""

FILLING = 120.0
"""The longest that filling may take, in seconds."""

_FILL = """
import os, sys
with open(sys.argv[1], "wb") as file:
    size, step = 0, 2**30
    while step >= 4096:
        try:
            os.posix_fallocate(file.fileno(), size, step)
            size += step
        except OSError:
            step //= 2
"""


@dataclass(frozen=True, slots=True)
class DiskFull:
    """The file system of the leader's data, filled to the last block."""

    name: str = "disk-full"
    title: str = "the leader's disk full"

    def refused(self, scene: Scene) -> str | None:
        """Refused unless the data is on a small file system of its own."""
        few = choosing.too_few_standbys(scene)
        if few:
            return few
        try:
            _own_file_system(scene)
        except PgsteadError as error:
            return error.message
        return None

    def strike(self, scene: Scene) -> Struck:
        """Fill it with a file."""
        machine, place = scene.leader, _own_file_system(scene)
        ballast = f"{place.rstrip('/')}/{BALLAST}"

        def fill() -> None:
            words = ["python3", "-c", _FILL, ballast]
            done = scene.platform.reach(machine).run(words, timeout=FILLING)
            if done.code != 0:
                raise PlatformError(f"{machine}: {place} cannot be filled: {done.stderr.strip()}")

        what, undos = f"filled {place} on {machine}", [Remove(machine, ballast)]
        return strike(scene, what, ending(fill), undos=undos, hold=LASTS)


def _own_file_system(scene: Scene) -> str:
    """Where the leader's data is mounted. Raises `Refused` if that is not small, or not its own."""
    machine = scene.machines[scene.leader]
    data = [one.path for one in machine.software.directories if one.data]
    if not data:
        raise Refused(f"{machine.name} has no folder of data")
    words = ["df", "--output=size,target", "--block-size=1", path(data[0]), path("/")]
    done = scene.platform.reach(machine.name).run(words)
    if done.code != 0:
        raise PlatformError(f"{machine.name}: {done.stderr.strip()}")
    (size, place), (_, everything) = (line.split(None, 1) for line in done.stdout.splitlines()[1:])
    if place == everything:
        raise Refused(f"the data of {machine.name} shares its file system ({place}) with others")
    if int(size) > SMALL:
        raise Refused(f"{place} on {machine.name} has more than {SMALL // 2**30} GiB to fill")
    return place


FAULTS = (DiskFull(),)
