"""What is seen of machines, by what a cloud lists."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("openstack")

from keystoneauth1 import exceptions as identity
from openstack.block_storage.v3 import volume
from openstack.compute.v2 import server

from pgstead.engine.resource import Present, Recorded, Unknown
from support.openstack.fake import FakeCloud, digest, plain, platform, port_with

ADDRESS = "machine.thing-1"
MARKS = {"pgstead_stack_id": "0123", "pgstead_stack": "shop", "pgstead_machine": "thing-1"}
OURS = "pgstead shop 0123 thing-1/0"


def record(**values: Any) -> Recorded:
    return Recorded(
        ADDRESS, "machine", values, place={"machine": "thing-1", "address": "10.99.0.11"}
    )


def a_server(**more: Any) -> server.Server:
    given = {"id": "s1", "name": "thing-1", "status": "SHUTOFF", "metadata": MARKS, **more}
    return server.Server(**given)


def a_volume(**more: Any) -> volume.Volume:
    about = {**MARKS, "pgstead_use": "data", **more}
    return volume.Volume(id="v1", name="thing-1-data", status="available", size=1, metadata=about)


def cloud_with(
    servers: list[server.Server], volumes: list[volume.Volume], *ports: Any
) -> FakeCloud:
    cloud = FakeCloud(*ports)
    cloud.compute.servers.return_value = servers
    cloud.block_storage.volumes.return_value = volumes
    return cloud


def seen(cloud: FakeCloud, target: Any, **settings: Any) -> Any:
    return platform(cloud, **settings).observe({ADDRESS: target}, digest)[ADDRESS]


def test_nothing_is_nothing() -> None:
    assert seen(cloud_with([], []), record()) is None


@pytest.mark.parametrize(
    ("volumes", "ports"),
    [([a_volume()], []), ([], [port_with("10.99.0.11", description=OURS)])],
)
def test_what_is_left_of_a_machine_that_goes_is_still_to_be_removed(
    volumes: list[Any], ports: list[Any]
) -> None:
    found = seen(cloud_with([], volumes, *ports), record())
    assert found == Present({}, ("its server is gone already",))
    (wanted,) = platform().lower([plain()], digest)
    assert seen(cloud_with([], volumes, *ports), wanted) is None, "but it is to be made"


def test_what_was_put_aside_is_nobodys_business() -> None:
    assert seen(cloud_with([], [a_volume(pgstead_aside="yesterday")]), record()) is None


def test_others_things_are_not_seen() -> None:
    others = {**MARKS, "pgstead_stack_id": "4567"}
    cloud = cloud_with([a_server(metadata=others)], [a_volume(pgstead_stack_id="4567")])
    assert seen(cloud, record()) is None


def test_a_server_that_is_off_or_worse_is_told_as_it_is() -> None:
    found = seen(cloud_with([a_server()], []), record(**{"running:thing": "running"}))
    assert isinstance(found, Present)
    assert (found.values["power"], found.values["running:thing"]) == ("off", "stopped")
    worse = seen(cloud_with([a_server(status="ERROR")], []), record())
    assert worse.values["power"] == "error"


def test_a_port_that_is_gone_or_taken_is_another_interface() -> None:
    (wanted,) = platform().lower([plain()], digest)
    marks = {**MARKS, "pgstead_interfaces": str(wanted.values["interfaces"])}
    servers = [a_server(metadata=marks)]
    whole = port_with("10.99.0.11", description=OURS, device_id="s1")
    found = seen(cloud_with(servers, [], whole), wanted)
    assert found.values["interfaces"] == wanted.values["interfaces"]
    found = seen(cloud_with(servers, []), wanted)
    assert found.values["interfaces"] == "the port with 10.99.0.11 is gone"
    free = port_with("10.99.0.11", description=OURS, device_id="")
    found = seen(cloud_with(servers, [], free), wanted)
    assert found.values["interfaces"] == "the port is connected to something else"


def test_a_cloud_that_does_not_answer_leaves_all_unknown() -> None:
    cloud = cloud_with([], [])
    cloud.compute.servers.side_effect = identity.ConnectFailure("refused")
    found = seen(cloud, record())
    assert isinstance(found, Unknown)
    assert found.down
    assert "cannot be reached" in found.reason


def test_two_hundred_machines_are_no_more_to_ask_than_two() -> None:
    asked = []
    for count in (2, 200):
        names = [f"thing-{number}" for number in range(count)]
        servers = [a_server(id=n, name=n, metadata={**MARKS, "pgstead_machine": n}) for n in names]
        cloud = cloud_with(servers, [])
        there = platform(cloud, delivery="user_data")
        wanted = {one.address: one for one in there.lower([plain(n) for n in names], digest)}
        assert len(there.observe(wanted, digest)) == count
        asked.append(cloud.requests)
    assert asked[0] == asked[1]


def test_only_what_nobody_ever_began_is_not_looked_for_before_it_is_made() -> None:
    names = ("thing-1", "thing-2", "thing-3")
    kept = volume.Volume(
        id="v1", name="x", status="available", size=1, metadata={**MARKS, "pgstead_use": "data"}
    )
    begun = Recorded("machine.thing-2", "machine", {}, "creating", place={"machine": "thing-2"})
    there = platform(cloud_with([], [kept]), {begun.address: begun})
    wanted = {one.address: one for one in there.lower([plain(n) for n in names], digest)}
    there.observe(wanted, digest)
    assert [name for name in names if there.ground.begins(name)] == ["thing-3"]
    assert not there.ground.begins("thing-3"), "by now it was begun"
