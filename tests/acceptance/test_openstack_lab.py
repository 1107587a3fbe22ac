"""The tests' own cloud: what its services promise, and what the other tests read in it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import pytest

from pgstead.waiting import wait
from support.openstack.faults import CHANGES, Fault
from support.openstack.lab import Lab
from support.openstack.project import Project

openstack = pytest.importorskip("openstack")
keystoneauth1 = pytest.importorskip("keystoneauth1.exceptions")
pytestmark = [pytest.mark.real]

QUICK = {"interval": 0.2, "wait": 60}
USER_DATA = b"#cloud-config\nhostname: one\n"


@dataclass(frozen=True)
class Ground:
    """A project, and how servers are made in it."""

    project: Project

    @property
    def lab(self) -> Lab:
        return self.project.lab

    @property
    def member(self) -> Any:
        return self.project.member

    def port(self, address: str) -> Any:
        fixed = [{"subnet_id": self.project.subnet.id, "ip_address": address}]
        network = self.project.network.id
        return self.member.network.create_port(network_id=network, fixed_ips=fixed)

    def server(self, name: str, port: Any, **more: Any) -> Any:
        made = self.member.compute.create_server(
            name=name,
            flavor_id=self.project.flavor.id,
            image_id=self.project.image.id,
            networks=[{"port": port.id}],
            config_drive=True,
            user_data=base64.b64encode(USER_DATA).decode(),
            **more,
        )
        return self.member.compute.wait_for_server(made, **QUICK)

    def remove(self, server: Any) -> None:
        self.member.compute.delete_server(server)
        self.member.compute.wait_for_delete(server, **QUICK)


@pytest.fixture
def ground(openstack_project: Project) -> Ground:
    return Ground(openstack_project)


def test_the_whole_life_of_a_server(ground: Ground) -> None:
    member = ground.member
    key = member.compute.create_keypair(name="lab")
    port = ground.port("10.7.0.7")
    server = ground.server("one", port, key_name=key.name, metadata={"a": "b"})
    guest = ground.lab.guests[server.id]
    assert guest.is_on
    assert guest.user_data == USER_DATA
    assert guest.meta_data["name"] == "one"
    assert guest.meta_data["meta"] == {"a": "b"}
    assert guest.meta_data["public_keys"]["lab"].strip() == key.public_key.strip()
    (link,) = guest.network_data["links"]
    assert link["ethernet_mac_address"] == port.mac_address
    assert guest.ports == {port.id: port.mac_address}

    volume = member.block_storage.create_volume(size=1, name="data")
    member.block_storage.wait_for_status(volume, "available", **QUICK)
    member.compute.create_volume_attachment(server, volume_id=volume.id)
    volume = member.block_storage.wait_for_status(volume, "in-use", **QUICK)
    assert list(guest.volumes.values()) == [volume.id]
    member.block_storage.post(  # grown while it is attached, since version 3.42
        f"/volumes/{volume.id}/action", json={"os-extend": {"new_size": 2}}, microversion="3.42"
    )
    wait(lambda: member.block_storage.get_volume(volume.id).size == 2, deadline=60, what="2 GB")
    member.block_storage.wait_for_status(_fresh(member, volume), "in-use", **QUICK)

    ground.remove(server)
    assert server.id not in ground.lab.guests
    member.block_storage.wait_for_status(_fresh(member, volume), "available", **QUICK)
    member.block_storage.delete_volume(volume)
    member.network.delete_port(port)
    member.compute.delete_keypair(key)
    member.block_storage.wait_for_delete(volume, **QUICK)


def _fresh(member: Any, volume: Any) -> Any:
    """As it is now: a wait begins with what the object says."""
    return member.block_storage.get_volume(volume.id)


def test_three_hosts_in_three_zones(ground: Ground) -> None:
    group = ground.member.compute.create_server_group(name="apart", policy="anti-affinity")
    ports = [ground.port(f"10.7.0.{number}") for number in (11, 12, 13)]
    hints = {"group": group.id}
    servers = [ground.server("one", port, scheduler_hints=hints) for port in ports]
    guests = ground.lab.guests
    assert len({guests[server.id].host for server in servers}) == len(servers)
    zones = {ground.member.compute.get_server(one.id).availability_zone for one in servers}
    assert zones == {"zone-1", "zone-2", "zone-3"}
    for server, port in zip(servers, ports, strict=True):
        ground.remove(server)
        ground.member.network.delete_port(port)
    ground.member.compute.delete_server_group(group)


def test_a_service_that_was_killed_starts_again_and_knows_all(ground: Ground) -> None:
    port = ground.port("10.7.0.21")
    server = ground.server("one", port)
    for service in ("nova", "neutron"):
        ground.lab.kill(service)
        assert not ground.lab.is_up(service)
        ground.lab.start(service)
    assert ground.lab.guests[server.id].is_on
    ground.member.compute.stop_server(server)
    ground.member.compute.wait_for_server(server, status="SHUTOFF", **QUICK)
    assert not ground.lab.guests[server.id].is_on
    ground.remove(server)
    ground.member.network.delete_port(port)


def test_requests_fail_as_they_are_told_and_are_counted(ground: Ground) -> None:
    create = ground.member.network.create_port
    lost = Fault(status=504, method="POST", path="ports", times=1, late=True)
    with (
        ground.lab.watching() as requests,
        ground.lab.failing("neutron", lost),
        pytest.raises(openstack.exceptions.HttpException, match="504"),
    ):
        create(network_id=ground.project.network.id)
    (port,) = ground.member.network.ports()  # only the answer was lost
    ground.member.network.delete_port(port)
    asked = [one for one in requests if one.is_from_client and one.service == "neutron"]
    assert [(one.method, one.status) for one in asked] == [("POST", "failed")]

    with ground.lab.failing("neutron", Fault(method=CHANGES, die=True)):
        with pytest.raises(keystoneauth1.ConnectFailure):  # none of openstacksdk's own
            create(network_id=ground.project.network.id)
        wait(lambda: not ground.lab.is_up("neutron"), deadline=60, what="the end of neutron")
        ground.lab.start("neutron")
    assert list(ground.member.network.ports()) == []
