"""From machines to resources, by what a cloud offers; openstacksdk's own classes, no cloud."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("openstack")

from openstack.network.v2 import network

from pgstead.engine.resource import Recorded, Resource
from pgstead.errors import PlatformError
from pgstead.machine import Cloud, Disk, Machine, Nic, OnChange, Port
from support.openstack.fake import FakeCloud, digest, plain, platform, port_with


def lowered(*machines: Machine, **settings: Any) -> list[Resource]:
    return list(platform(**settings).lower(machines or (plain(),), digest))


def test_what_a_machine_leaves_open_the_platform_says() -> None:
    (resource,) = lowered(key_pair="mine")
    assert {key: resource.values[key] for key in ("image", "flavor", "key_pair", "disk:data")} == {
        "image": "debian",
        "flavor": "small",
        "key_pair": "mine",
        "disk:data": 1,
    }
    assert resource.body.guest.admin.user == "ubuntu"
    assert resource.place == {
        "machine": "thing-1",
        "server": "thing-1",
        "address": "10.99.0.11",
        "user": "ubuntu",
    }
    assert "disk:os" not in resource.values, "the flavor has it"
    assert resource.outlives


def test_what_a_machine_says_goes_before() -> None:
    own = Cloud(flavor="f2", boot_from_volume=True, availability_zone="b")
    wanted = plain(cloud=own, os_disk=Disk("os", size=9))
    (resource,) = lowered(wanted, availability_zones=("a",))
    assert resource.values["flavor"] == "large", "by its name, as servers show it"
    assert resource.values["image"] == "debian on a volume"
    assert resource.values["disk:os"] == 9
    assert (resource.place["zone"], resource.values["zone"]) == ("b", "b")


def test_what_each_change_takes() -> None:
    (resource,) = lowered(key_pair="mine")
    effects = {key: one.on_change for key, one in resource.attributes.items() if ":" not in key}
    assert effects == {
        "image": OnChange.REPLACE,
        "interfaces": OnChange.REPLACE,
        "admin": OnChange.REPLACE,
        "key_pair": OnChange.REPLACE,
        "flavor": OnChange.RESTART,
        "power": OnChange.RESTART,
        "access": OnChange.RELOAD,
    }


def test_a_disk_that_would_shrink_is_refused() -> None:
    recorded = {"machine.thing-1": Recorded("machine.thing-1", "machine", {"disk:data": 5})}
    (resource,) = platform(recorded=recorded).lower([plain()], digest)
    assert resource.attributes["disk:data"].on_change is OnChange.REFUSE


def test_members_are_spread_over_the_zones_and_stay_where_they_are() -> None:
    machines = [plain(f"thing-{n}") for n in (1, 2, 3)]
    there = Recorded("machine.thing-2", "machine", {}, place={"zone": "a"})
    made = platform(recorded={"machine.thing-2": there}, availability_zones=("a", "b"))
    placed = {one.place["machine"]: one.place["zone"] for one in made.lower(machines, digest)}
    assert placed == {"thing-1": "b", "thing-2": "a", "thing-3": "a"}


def test_groups_that_are_given_are_not_compared_by_their_rules() -> None:
    (own,) = lowered()
    (given,) = lowered(security_groups=("given",))
    (none,) = lowered(plain(nics=(Nic("10.99.0.11", port=Port(security_groups=())),)))
    assert len({one.values["access"] for one in (own, given, none)}) == 3
    existing = plain(nics=(Nic("10.99.0.11", port=Port(existing="p-10.99.0.11")),))
    cloud = FakeCloud(port_with("10.99.0.11"))
    (used,) = platform(cloud).lower([existing], digest)
    assert "access" not in used.values, "an existing port is none of the stack's business"


def test_without_a_way_in_software_is_one_thing() -> None:
    (resource,) = lowered(delivery="user_data")
    assert resource.attributes["software"].on_change is OnChange.REPLACE
    assert not any(key.startswith("file:") for key in resource.values)


@pytest.mark.parametrize(
    ("settings", "words", "hint"),
    [
        ({"flavor": "smal"}, "no flavor 'smal'", "did you mean small?"),
        ({"image": "debain"}, "no image 'debain'", "did you mean debian?"),
        ({"network": "insid"}, "no network 'insid'", "did you mean inside?"),
        ({"subnet": "inside6"}, "subnet of the network inside 'inside6'", "inside4"),
        ({"key_pair": "your"}, "no key pair 'your'", "mine"),
        ({"security_groups": ("givn",)}, "no security group 'givn'", "given"),
        ({"flavor": None}, "thing-1 has no flavor", "platform.flavor"),
        ({"image": None}, "thing-1 has no image", "platform.image"),
    ],
)
def test_what_the_cloud_lacks_is_told_with_the_nearest_name(
    settings: dict[str, Any], words: str, hint: str
) -> None:
    with pytest.raises(PlatformError) as told:
        lowered(**settings)
    assert words in told.value.message
    assert hint in str(told.value.hint)


def test_what_machines_were_made_from_may_be_gone_since() -> None:
    (resource,) = lowered(key_pair="mine")
    there = Recorded(resource.address, "machine", resource.values, place=resource.place)
    cloud = FakeCloud()
    for one in (cloud.compute.flavors, cloud.compute.keypairs, cloud.image.images):
        one.return_value = []
    cloud.image.find_image.side_effect = lambda *_, **__: None
    (again,) = platform(cloud, {resource.address: there}, key_pair="mine").lower([plain()], digest)
    assert again.values == resource.values
    with pytest.raises(PlatformError, match="no flavor"):
        platform(cloud, {}, key_pair="mine").lower([plain()], digest)


def test_the_only_network_need_not_be_named() -> None:
    lowered(network=None)
    cloud = FakeCloud()
    cloud.network.networks.return_value.append(network.Network(id="m", name="second"))
    with pytest.raises(PlatformError, match="has 2 networks") as told:
        platform(cloud, network=None).lower([plain()], digest)
    assert "inside, second" in str(told.value.hint)


def test_addresses_are_free_ones_from_the_end() -> None:
    cloud = FakeCloud(port_with("10.99.0.19"))
    found = platform(cloud).allocate(["a", "b", "c"], {"other": "10.99.0.18"})
    assert found == {"a": "10.99.0.20", "b": "10.99.0.17", "c": "10.99.0.16"}
    ranged = platform(cloud, addresses="10.99.0.18-10.99.0.21").allocate(["a", "b"], {})
    assert ranged == {"a": "10.99.0.18", "b": "10.99.0.20"}
    with pytest.raises(PlatformError, match=r"2 machines need addresses, and 1"):
        platform(cloud, addresses="10.99.0.19-10.99.0.20").allocate(["a", "b"], {})


def test_an_address_that_something_else_has_is_told() -> None:
    own = "pgstead shop 0123 a/0"
    cloud = FakeCloud(
        port_with("10.99.0.11", device_id="x", device_owner="network:dhcp", name="dhcp"),
        port_with("10.99.0.12", device_id="y", description=own),
        port_with("10.99.0.13"),
    )
    cloud.compute.servers.return_value = []
    given = {name: f"10.99.0.1{number}" for number, name in enumerate("xyz", start=1)}
    assert platform(cloud).occupied(given) == {
        "x": "10.99.0.11 is in use by the port dhcp of network:dhcp"
    }


def test_each_kind_is_listed_once_for_many_machines() -> None:
    cloud = FakeCloud()
    platform(cloud).lower([plain(f"thing-{n}") for n in range(20)], digest)
    asked = (cloud.compute.flavors, cloud.network.networks, cloud.network.subnets)
    assert [one.call_count for one in asked] == [1, 1, 1]
    assert cloud.image.find_image.call_count == 1
