"""A machine's software, pushed to one that nothing but its admin is on."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from pgstead.errors import PlatformError
from pgstead.machine import File
from pgstead.platforms.cloud_init import NO_CLUSTER, SCRIPT, conventional
from pgstead.platforms.guests.guest import Guest
from pgstead.platforms.guests.laying import lay_down
from pgstead.reach.base import Finished
from support.dummy_guest import DummyGuest
from support.machines import CONFIGURATION, SECRET, machine

IDS = ("virtio-123", "scsi-123")


@dataclass
class Watched(DummyGuest):
    """Remembers in which order things came, and may fail in the script."""

    came: list[str] = field(default_factory=list)
    owners: set[str] = field(default_factory=set)
    fails: str = ""

    def push(self, file: File) -> None:
        self.came.append(file.path)
        self.owners.add(file.owner)
        super().push(file)

    def run(self, argv: object, *, timeout: float = 60.0) -> Finished:
        words = tuple(map(str, argv))  # type: ignore[call-overload]
        self.came.append(words[3] if words[0] == "sh" else words[0])
        if words == (SCRIPT,) and self.fails:
            return Finished(1, self.fails, "")
        return super().run(words, timeout=timeout)


def laid(reach: Watched, *, install: bool = True) -> Watched:
    wanted = conventional(machine(install=install))
    lay_down(Guest(wanted, "a cloud", reach), {"state": "existing"}, IDS)
    return reach


def test_packages_come_first_and_the_script_last() -> None:
    came = laid(Watched()).came
    assert came[:2] == [NO_CLUSTER.path, "install"]
    assert came[-1] == SCRIPT
    assert came.index(SECRET) < came.index(SCRIPT)


def test_nothing_is_installed_on_an_image_that_holds_everything() -> None:
    reach = laid(Watched(), install=False)
    assert NO_CLUSTER.path not in reach.files
    assert "install" not in reach.came


def test_files_are_roots_until_the_script_has_made_their_owners() -> None:
    reach = laid(Watched())
    assert reach.owners == {"root"}
    assert reach.files[SECRET] == (0o600, "secret: ünïcode\n")
    script = reach.files[SCRIPT][1]
    assert f"chown thing: {SECRET}" in script


def test_what_matters_at_the_first_start_is_bound() -> None:
    assert "state: existing  # bootstrap only" in laid(Watched()).files[CONFIGURATION][1]


def test_the_data_disk_is_looked_for_by_each_of_its_names() -> None:
    script = laid(Watched()).files[SCRIPT][1]
    assert "for device in /dev/disk/by-id/virtio-123 /dev/disk/by-id/scsi-123; do" in script


def test_what_the_script_said_is_told_when_it_fails() -> None:
    with pytest.raises(PlatformError, match="setup of thing-1 on a cloud failed") as told:
        laid(Watched(fails="pgstead: data disk\npgstead: there is no disk x\n"))
    assert "there is no disk x" in told.value.message
