"""What becomes of data volumes: kept, put aside, or deleted, and never taken for another's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("libvirt")
pytest.importorskip("pycdlib")

from pgstead.engine.resource import Data
from pgstead.errors import Refused
from pgstead.platforms.libvirt import data, volumes
from support.libvirt import why_not
from support.libvirt_stage import Stage, run
from support.machines import machine

pytestmark = [
    pytest.mark.xdist_group("libvirt_data"),
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
    pytest.mark.timeout(120),
]


ADDRESS = "machine.thing-1"


def delete(stage: Stage, fate: Data) -> list[str]:
    """Remove the machine, as an `up` does from whose stack file it went."""
    titles = run(stage.platform().delete(stage.records[ADDRESS], data=fate))
    del stage.records[ADDRESS]
    stage.guests.clear()
    return titles


def test_data_put_aside_is_never_found_again(stage: Stage) -> None:
    stage.up(machine())
    (first,) = (name for name in stage.volumes() if "-data-" in name)
    titles = delete(stage, Data.ASIDE)
    assert titles[-1].endswith(f"its data stays in default/{first}, put aside")
    assert {first, f"{first}.aside"} <= stage.volumes()
    assert stage.platform().kept() == (Path("default") / first,)
    stage.up(machine())
    assert f"{first}.2" in stage.volumes(), "another volume, as often as it takes"
    assert stage.platform().kept() == (Path("default") / first,), "the new one is in use"
    delete(stage, Data.ASIDE)
    assert len(stage.platform().kept()) == 2
    stage.up(machine())
    stage.destroy(Data.DELETE)
    assert stage.volumes() <= {"base.img"}
    assert stage.platform().kept() == ()


def test_data_that_is_kept_is_told_and_found_again(stage: Stage) -> None:
    stage.up(machine())
    (first,) = (name for name in stage.volumes() if "-data-" in name)
    assert stage.platform().kept() == (), "it is in use"
    delete(stage, Data.KEEP)
    assert stage.platform().kept() == (Path("default") / first,)
    (host,) = stage.platform().ground.hosts
    found = volumes.find(host, "default", first)
    assert found is not None
    stage.up(machine())
    assert [name for name in stage.volumes() if "-data-" in name] == [first]


def test_a_machine_that_is_gone_is_known_to_have_data(stage: Stage) -> None:
    """So that a member is made around its data, rather than removed from its cluster."""
    stage.up(machine())
    platform = stage.platform()
    assert not platform.keeps_data("thing-1"), "nothing was written yet"
    (host,) = platform.ground.hosts
    where = data.own(host, stage.records[ADDRESS].place, "data")
    assert where is not None
    path = volumes.existing(host, *where).path
    run(platform.delete(stage.records[ADDRESS], data=Data.KEEP))
    stage.daemon.inside(["qemu-io", "-f", "qcow2", "-c", "write 0 2M", path])
    stage.connection.storagePoolLookupByName("default").refresh()
    assert platform.keeps_data("thing-1")
    run(platform.delete(stage.records[ADDRESS], data=Data.ASIDE))
    assert not platform.keeps_data("thing-1"), "aside it is nobody's"
    assert not platform.keeps_data("thing-2")


def test_a_lost_volume_with_the_only_copy_is_not_made_anew(stage: Stage) -> None:
    """Whoever lost machine and disk is told, instead of being given an empty one."""
    stage.up(machine())
    platform = stage.platform()
    resource = replace(stage.lower(machine()), only_copy=True)
    run(platform.delete(stage.records[ADDRESS], data=Data.DELETE))
    stage.records[ADDRESS] = replace(stage.records[ADDRESS], status="creating")
    with pytest.raises(Refused, match=r"the data disk of thing-1 .* is gone"):
        run(platform.create(resource, {}))


def test_an_image_that_was_uploaded_elsewhere_goes_too(stage: Stage) -> None:
    """Its machine is forgotten by the time that the last of the stack goes."""
    image = stage.folder / "image.raw"
    image.write_bytes(b"x" * 512)
    (host,) = stage.platform().ground.hosts
    suffix = stage.platform().ground.naming.image_suffix
    volumes.upload_image(host, "default", image, suffix)
    stage.settings = {"pool": "other"}
    stage.platform().dispose(data=Data.KEEP)
    stage.settings = {}
    assert not any(name.endswith(suffix) for name in stage.volumes())


def test_other_stacks_data_is_not_seen(stage: Stage) -> None:
    stage.up(machine())
    other = replace(stage, stack_id="another", records={})
    assert other.platform().kept() == ()
    other.platform().dispose(data=Data.DELETE)
    assert any("-data-" in name for name in stage.volumes())
