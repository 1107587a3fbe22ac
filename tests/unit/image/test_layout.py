from __future__ import annotations

import re
import struct

import pytest

from pgstead.image.boot import patched_boot, patched_core
from pgstead.image.layout import MIB, SECTOR, layout, table
from pgstead.image.recipe import Source, recipe

RECIPE = recipe("bookworm", (Source("http://deb.debian.org/debian", "bookworm", "main"),))


@pytest.mark.parametrize("gib", [3, 4, 100])
def test_partitions_are_apart_and_inside_the_disk(gib: int) -> None:
    plan = layout(gib)
    assert plan.size == gib * 1024**3
    parts = sorted((plan.root, plan.bios, plan.efi), key=lambda part: part.start)
    assert all(part.start % MIB == 0 for part in parts)
    ends = [part.start + part.sectors for part in parts]
    assert all(end <= part.start for end, part in zip(ends, parts[1:], strict=False))
    # The second copy of a GPT takes 33 sectors at the end of the disk.
    assert ends[-1] <= plan.sectors - 33


def test_the_root_is_the_first_by_number_and_the_last_by_place() -> None:
    plan = layout(4)
    assert (plan.root.number, plan.bios.number, plan.efi.number) == (1, 14, 15)
    assert plan.root.start > max(plan.bios.start, plan.efi.start)


def test_the_table_names_every_partition_with_a_stable_id() -> None:
    text = table(layout(4), RECIPE)
    assert text == table(layout(4), RECIPE)
    assert re.findall(r"^/dev/image(\d+):", text, re.MULTILINE) == ["1", "14", "15"]
    assert len(set(re.findall(r"uuid=(\S+)", text))) == 3
    assert f"label-id: {RECIPE.identifier('disk')}" in text


def test_the_first_sector_keeps_the_partition_table() -> None:
    boot = bytes([0xEE]) * SECTOR
    first = bytes(range(256)) * 2
    code = patched_boot(boot, first, 2048)
    assert len(code) == SECTOR
    assert code[0x1B8:] == first[0x1B8:]
    assert struct.unpack_from("<Q", code, 0x5C) == (2048,)
    assert code[0x66:0x68] == b"\x90\x90"
    assert code[:0x5C] == boot[:0x5C]


@pytest.mark.parametrize(("size", "following"), [(512, 0), (513, 1), (1024, 1), (40_000, 78)])
def test_the_second_stage_says_how_much_follows_it(size: int, following: int) -> None:
    code = patched_core(bytes(size), 2048)
    assert struct.unpack_from("<QH", code, SECTOR - 12) == (2049, following)
    assert len(code) == size
