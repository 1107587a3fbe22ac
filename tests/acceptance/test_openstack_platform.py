"""The OpenStack platform against the real services, up to what a guest is given."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pgstead.engine.plan import Action
from pgstead.engine.resource import Data
from pgstead.errors import PgsteadError, PlatformError, Refused
from pgstead.machine import Cloud, Disk, Machine, Nic, OnChange, Port
from support.dummy_guest import DummyGuest, cloud_configs
from support.machines import SECRET, machine
from support.openstack.faults import Fault
from support.openstack.lab import Lab
from support.openstack.stage import Room, Stage, finish, here, room_in

pytest.importorskip("openstack")
pytestmark = [pytest.mark.real, pytest.mark.xdist_group("openstack")]

SERVICES = ("neutron", "cinder", "nova")
LARGE, HUGE = "large", "huge"
TRIES = 40
MACHINE = "machine.thing-1"


@pytest.fixture(scope="module")
def whole_room(openstack_lab: Lab) -> Iterator[Room]:
    """One with flavors of several sizes."""
    with room_in(openstack_lab) as whole:
        compute = whole.project.admin.compute
        sizes = {LARGE: 128, HUGE: 100_000_000}
        made = [compute.create_flavor(name=k, ram=v, vcpus=1, disk=1) for k, v in sizes.items()]
        yield whole
        for flavor in made:
            compute.delete_flavor(flavor)


@pytest.fixture
def room(whole_room: Room) -> Iterator[Room]:
    yield whole_room
    whole_room.project.clear()


def plain(number: int = 1, **guest: Any) -> Machine:
    """A machine with a bit of everything, as a cloud's module would give it."""
    made = here(machine(f"thing-{number}"), 10 + number)
    return changed(made, **{"os_disk": Disk("os"), **guest})


def changed(made: Machine, **guest: Any) -> Machine:
    return replace(made, guest=replace(made.guest, **guest))


def user_data(room: Room, name: str) -> str:
    """What a guest's config drive holds for cloud-init."""
    (server,) = room.member.compute.servers(name=f"^{name}$")
    return gzip.decompress(room.project.lab.guests[server.id].user_data).decode()


def inside(stage: Stage) -> DummyGuest:
    (found,) = stage.guests.values()
    return found


def test_from_nothing_to_nothing(room: Room) -> None:
    stage, wanted = room.stage(), plain()
    assert stage.up(wanted).action is Action.CREATE
    change = stage.plan(wanted)
    assert (change.action, change.reasons) == (Action.NONE, ())

    access = user_data(room, "thing-1")
    (config,) = cloud_configs(access)
    assert config["hostname"] == "thing-1"
    assert "ünïcode" not in access, "secrets come later, by another way"
    assert "write_files" not in config
    assert inside(stage).files[SECRET][1] == "secret: ünïcode\n"
    assert inside(stage).running == {"thing.service"}
    (one,) = room.project.lab.guests.values()
    assert (one.is_on, len(one.ports), len(one.volumes)) == (True, 1, 1)

    platform = stage.platform()
    (found,) = platform.found()
    assert (found.machine, found.place) == ("thing-1", stage.records[MACHINE].place)
    assert platform.occupied({"thing-1": wanted.address, "other": plain(2).address}) == {}
    stage.destroy()
    assert room.project.left() == {}


def test_a_machine_keeps_its_data_when_it_is_made_anew(room: Room) -> None:
    stage, wanted = room.stage(), plain()
    stage.up(wanted)
    (volume,) = room.member.block_storage.volumes()
    record = stage.records.pop(MACHINE)
    finish(stage.platform().delete(record, data=Data.KEEP))
    assert room.project.left().keys() == {"volumes", "security groups", "server groups"}
    assert stage.platform().kept() == (Path(f"{volume.name} ({volume.id})"),)
    assert stage.platform().keeps_data("thing-1")
    stage.up(wanted)
    (again,) = room.project.lab.guests.values()
    assert list(again.volumes.values()) == [volume.id]

    finish(stage.platform().delete(stage.records.pop(MACHINE), data=Data.ASIDE))
    assert not stage.platform().keeps_data("thing-1")
    stage.up(wanted)
    (anew,) = room.project.lab.guests.values()
    assert list(anew.volumes.values()) != [volume.id], "what was put aside is not found again"
    finish(stage.platform().delete(stage.records.pop(MACHINE), data=Data.DELETE))
    assert room.project.left()["volumes"] == [volume.name], "nor does it go with the machine"
    stage.destroy()


def test_changes_disturb_as_little_as_they_can(room: Room) -> None:
    stage = room.stage()
    stage.up(plain())
    (server,) = room.member.compute.servers()
    disk = Disk("data", size=2, mount="/var/lib/thing", owner="thing")
    bigger = plain(cloud=Cloud(flavor=LARGE), data_disk=disk)
    change = stage.up(bigger)
    assert {one.key for one in change.differences} == {"flavor", "disk:data"}
    assert [one.id for one in room.member.compute.servers()] == [server.id], "it is the same one"
    assert [one.size for one in room.member.block_storage.volumes()] == [2]
    smaller = changed(bigger, data_disk=replace(disk, size=1))
    assert stage.plan(smaller).action is Action.REFUSE, "a disk never shrinks"

    (group,) = (g for g in room.member.network.security_groups() if g.name != "default")
    rule = next(one for one in group.security_group_rules if one["port_range_min"] == 22)
    room.member.network.delete_security_group_rule(rule["id"])
    change = stage.up(bigger)
    assert [(one.key, one.drift) for one in change.differences] == [("access", True)]
    assert change.effect is OnChange.RELOAD
    stage.destroy()


def test_power_is_told_boot_by_boot(room: Room) -> None:
    stage, wanted = room.stage(), plain(data_disk=None)
    stage.up(wanted)
    first = stage.platform().power("thing-1")
    assert first.on
    stage.platform().stop("thing-1")
    assert stage.platform().power("thing-1").on is False
    assert {one.key for one in stage.plan(wanted).differences} == {"power", "running:thing"}
    stage.platform().start("thing-1")
    with pytest.raises(Refused, match="started again"):
        stage.platform().power_off("thing-1", first.boot)
    second = stage.platform().power("thing-1")
    assert second.boot != first.boot
    breaking = stage.platform().breaking()
    breaking.freeze("thing-1", second.boot)
    breaking.thaw("thing-1")
    stage.platform().power_off("thing-1", stage.platform().power("thing-1").boot)
    assert stage.up(wanted).action is Action.UPDATE
    stage.destroy()


def test_every_answer_is_lost_once_and_nothing_is_made_twice(room: Room) -> None:
    stage, wanted = room.stage(boot_from_volume=True), plain()
    paths = ("security-groups", "security-group-rules", "volumes", "ports", "os-server-groups")
    lost = [
        Fault(504, "POST", f"/{one}(\\.json)?$", times=1, late=True)
        for one in (*paths, "servers", "metadata")
    ]
    with ExitStack() as failing:
        for service in SERVICES:
            failing.enter_context(room.project.lab.failing(service, *lost))
        tries = until_it_works(stage, wanted)
    assert len(paths) < tries < TRIES
    assert room.count() == {
        "servers": 1,
        "ports": 1,
        "volumes": 2,
        "security groups": 1,
        "server groups": 1,
    }
    gone = [Fault(504, "DELETE", times=1, late=True), Fault(500, "DELETE", times=1)]
    with ExitStack() as failing:
        for service in SERVICES:
            failing.enter_context(room.project.lab.failing(service, *gone))
        until_it_is_gone(stage)
    assert room.project.left() == {}


def until_it_works(stage: Stage, wanted: Machine) -> int:
    """As one command after the other would, until one does not fail; gives how many it took."""
    for tries in range(1, TRIES):
        try:
            stage.up(wanted)
        except PgsteadError:
            continue
        return tries
    return TRIES


def until_it_is_gone(stage: Stage) -> None:
    for _ in range(TRIES):
        try:
            stage.destroy()
        except PgsteadError:
            continue
        return


def test_what_a_plan_asks_does_not_grow_with_the_machines(room: Room) -> None:
    stage = room.stage()
    machines = [plain(number, data_disk=None) for number in (1, 2, 3)]
    for one in machines:
        stage.up(one)
    asked = []
    for some in (machines[:2], machines):
        platform = stage.platform()
        wanted = {one.address: one for one in platform.lower(some, str)}
        platform.observe(wanted, str)
        asked.append(platform.requests)
    assert asked[0] == asked[1]
    guests = room.project.lab.guests
    assert len({guest.host for guest in guests.values()}) == len(machines), "one on each host"
    stage.destroy()


def test_an_existing_port_and_groups_are_used_and_stay(room: Room) -> None:
    network, stage = room.member.network, room.stage()
    # an address that neutron picks could be the one of the second machine
    fixed = [{"ip_address": "10.7.0.200"}]
    network.create_port(network_id=room.project.network.id, name="given", fixed_ips=fixed)
    group = network.create_security_group(name="given")
    address = stage.platform().resolve().port_address("given")
    assert address is not None
    first = replace(plain(), address=address)
    first = changed(first, nics=(Nic(address, port=Port(existing="given")),))
    own = Port(name="own", security_groups=("given",))
    second = changed(plain(2), nics=(Nic(plain(2).address, port=own),))
    stage.up(first)
    stage.up(second)
    assert room.project.left()["security groups"] == ["given"], "no other is needed"
    (made,) = network.ports(name="own")
    assert made.security_group_ids == [group.id]
    assert stage.platform().occupied({"thing-1": address}) == {}
    stage.destroy()
    assert room.project.left() == {"ports": ["given"], "security groups": ["given"]}


def test_what_is_missing_is_told_with_what_there_is(room: Room) -> None:
    cases = {
        "the cloud shows no image 'lap'": {"image": "lap"},
        "the cloud shows no flavor 'larg'": {"flavor": "larg"},
        "the cloud shows no network 'lap'": {"network": "lap"},
        "the cloud shows no key pair 'mine'": {"key_pair": "mine"},
    }
    for words, settings in cases.items():
        with pytest.raises(PlatformError, match=words) as told:
            room.stage(**settings).plan(plain())
        assert told.value.hint
    elsewhere = replace(plain(), address="10.98.0.1")
    with pytest.raises(PlatformError, match=r"10\.98\.0\.1, which is not in") as told:
        room.stage().plan(elsewhere)


def test_the_clouds_own_refusals_are_told_in_words(room: Room) -> None:
    stage, network = room.stage(), room.member.network
    with pytest.raises(PlatformError, match="No valid host") as told:
        stage.up(plain(cloud=Cloud(flavor=HUGE)))
    assert "no host of the cloud has room" in str(told.value.hint)
    stage.up(plain())  # the server in error gave way

    fixed = [{"ip_address": plain(2).address}]
    taken = network.create_port(network_id=room.project.network.id, fixed_ips=fixed)
    with pytest.raises(PlatformError, match="already allocated") as told:
        stage.up(plain(2))
    assert "another `ip`" in str(told.value.hint)
    network.delete_port(taken)

    project = room.member.current_project_id
    room.project.admin.network.update_quota(project, ports=1)
    try:
        with pytest.raises(PlatformError, match="Quota exceeded") as told:
            stage.up(plain(2))
        assert "higher quota" in str(told.value.hint)
    finally:
        room.project.admin.network.delete_quota(project)
    stage.destroy()


def test_all_by_user_data_where_nothing_gets_in(room: Room) -> None:
    stage = room.stage(delivery="user_data")
    stage.up(plain())
    assert stage.guests == {}, "nobody tried to get in"
    parts: list[dict[str, Any]] = cloud_configs(user_data(room, "thing-1"))
    assert SECRET in {one["path"] for part in parts for one in part.get("write_files", ())}
    change = stage.plan(plain())
    assert change.action is Action.NONE
    assert "is not looked into" in change.reasons[0]
    change = stage.plan(plain(install=False))
    assert change.action is Action.REPLACE
    assert [one.key for one in change.differences] == ["software"]
    stage.destroy()
