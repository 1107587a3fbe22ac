"""What a project of the lab has before pgstead comes: a flavor, an image, a network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pgstead.waiting import wait
from support.openstack.lab import Lab

CIDR = "10.7.0.0/24"
NAME = "lab"
SECONDS = 60.0


@dataclass(frozen=True)
class Project:
    """The project `member`; its flavor, image, network and subnet are all called `lab`."""

    lab: Lab
    admin: Any
    member: Any
    flavor: Any
    image: Any
    network: Any
    subnet: Any

    def left(self) -> dict[str, list[str]]:
        """The names of all that is there besides those four, by kind."""
        compute, network = self.member.compute, self.member.network
        found: dict[str, Iterable[Any]] = {
            "servers": compute.servers(),
            "server groups": compute.server_groups(),
            "key pairs": compute.keypairs(),
            "ports": network.ports(),
            "security groups": (
                one
                for one in network.security_groups(project_id=self.member.current_project_id)
                if one.name != "default"
            ),
            "volumes": self.member.block_storage.volumes(),
            "snapshots": self.member.block_storage.snapshots(),
        }
        named = {kind: [one.name or one.id for one in each] for kind, each in found.items()}
        return {kind: names for kind, names in named.items() if names}

    def clear(self) -> None:
        """Remove all that, whoever made it."""
        compute, network = self.member.compute, self.member.network
        _remove(compute.servers, compute.delete_server)
        _remove(compute.server_groups, compute.delete_server_group)
        _remove(compute.keypairs, compute.delete_keypair)
        _remove(network.ports, network.delete_port)
        _remove(self.member.block_storage.snapshots, self.member.block_storage.delete_snapshot)
        _remove(self.member.block_storage.volumes, self.member.block_storage.delete_volume)
        for one in network.security_groups(project_id=self.member.current_project_id):
            if one.name != "default":
                network.delete_security_group(one)


def _remove(listed: Callable[[], Iterable[Any]], delete: Callable[[Any], object]) -> None:
    for one in listed():
        delete(one)
    wait(lambda: not list(listed()), deadline=SECONDS, what="the end of what was left")


@contextmanager
def project_in(lab: Lab) -> Iterator[Project]:
    """The project, furnished; at the end nothing may be left in it, and it is bare again."""
    admin, member = (lab.connect(name) for name in ("admin", "member"))
    flavor = admin.compute.create_flavor(name=NAME, ram=64, vcpus=1, disk=1)
    data = {"disk_format": "raw", "container_format": "bare", "data": b"\0" * 512}
    image = member.image.create_image(name=NAME, wait=True, **data)
    network = member.network.create_network(name=NAME)
    subnet = member.network.create_subnet(
        name=NAME, network_id=network.id, ip_version=4, cidr=CIDR, enable_dhcp=False
    )
    made = Project(lab, admin, member, flavor, image, network, subnet)
    try:
        yield made
        left = made.left()
    finally:
        made.clear()
        member.network.delete_network(network)
        member.image.delete_image(image)
        admin.compute.delete_flavor(flavor)
        for connection in (admin, member):
            connection.close()
    assert left == {}
    assert lab.guests == {}
