"""What a server is told at its first boot, and the room that there is for it."""

from __future__ import annotations

import base64
import gzip
import random
from dataclasses import replace

import pytest

pytest.importorskip("openstack")

from pgstead.errors import PlatformError
from pgstead.machine import File
from pgstead.platforms.openstack import user_data
from support.machines import machine


def test_it_is_packed_the_same_each_time() -> None:
    packed = user_data.packed("#cloud-config\n")
    assert gzip.decompress(base64.b64decode(packed)) == b"#cloud-config\n"
    assert packed == user_data.packed("#cloud-config\n")


def test_other_bindings_are_another_beginning() -> None:
    assert user_data.mark("a", {}) == user_data.mark("a", {})
    assert user_data.mark("a", {"state": "new"}) != user_data.mark("a", {"state": "existing"})


def test_what_takes_the_room_is_told() -> None:
    noise = random.Random(1).randbytes(50_000).hex()
    wanted = machine()
    files = (*wanted.software.files, File("/etc/large", noise))
    large = replace(wanted, software=replace(wanted.software, files=files))
    user_data.check_fits(large, "little")
    with pytest.raises(PlatformError) as told:
        user_data.check_fits(large, noise)
    assert "user data of thing-1 takes" in told.value.message
    assert "most of it: /etc/large" in told.value.message
    assert "delivery: reach" in str(told.value.hint)
