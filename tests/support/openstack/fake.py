"""A cloud that offers a few things, by openstacksdk's own classes: no service answers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from openstack.block_storage.v3._proxy import Proxy as BlockStorage
from openstack.compute.v2 import flavor, keypair
from openstack.compute.v2._proxy import Proxy as Compute
from openstack.image.v2 import image
from openstack.image.v2._proxy import Proxy as Images
from openstack.network.v2 import network, port, security_group, subnet
from openstack.network.v2._proxy import Proxy as Network

from pgstead.engine.resource import Recorded
from pgstead.machine import Disk, Machine
from pgstead.platforms.openstack import OpenStackPlatform
from pgstead.spec.openstack import OpenStackPlatform as Settings
from support.machines import machine

POOLS = [{"start": "10.99.0.10", "end": "10.99.0.20"}]
GIVEN: dict[str, Any] = {"image": "debian", "flavor": "small", "network": "inside"}


def port_with(address: str, **more: Any) -> port.Port:
    fixed = [{"subnet_id": "s", "ip_address": address}]
    return port.Port(id=f"p-{address}", network_id="n", fixed_ips=fixed, **more)


def proxy(kind: type, *methods: str) -> Any:
    """A service's proxy with those methods alone, which take what the real ones take."""
    real: Any = object.__new__(kind)
    made = mock.Mock(spec=[*methods])
    for name in methods:
        setattr(made, name, mock.create_autospec(getattr(real, name)))
    return made


def _methods(made: Any) -> list[Any]:
    found = (getattr(made, name) for name in made._mock_methods)
    return [one for one in found if hasattr(one, "call_count")]


class FakeCloud:
    """A connection that answers lists, and counts how often each was asked for."""

    def __init__(self, *ports: port.Port) -> None:
        self.current_project_id = "project"
        self.compute = proxy(Compute, "flavors", "keypairs", "servers", "get_limits")
        self.network = proxy(Network, "networks", "subnets", "ports", "security_groups")
        self.image = proxy(Images, "find_image", "images")
        self.block_storage = proxy(BlockStorage, "volumes")
        self.compute.flavors.return_value = [
            flavor.Flavor(id="f1", name="small"),
            flavor.Flavor(id="f2", name="large"),
        ]
        self.compute.keypairs.return_value = [keypair.Keypair(id="mine", name="mine")]
        self.network.networks.return_value = [
            network.Network(id="n", name="inside"),
            network.Network(id="x", name="outside", is_router_external=True),
        ]
        self.network.subnets.return_value = [
            subnet.Subnet(
                id="s",
                name="inside4",
                network_id="n",
                cidr="10.99.0.0/24",
                gateway_ip="10.99.0.1",
                allocation_pools=POOLS,
            )
        ]
        self.network.ports.return_value = list(ports)
        self.network.security_groups.return_value = [
            security_group.SecurityGroup(id="g", name="given", security_group_rules=[])
        ]
        self.image.find_image.side_effect = self._image
        self.image.images.return_value = [image.Image(id="i", name="debian")]

    @property
    def requests(self) -> int:
        """How often it was asked."""
        proxies = (self.compute, self.network, self.image, self.block_storage)
        return sum(one.call_count for each in proxies for one in _methods(each))

    def _image(self, name: str, *, ignore_missing: bool) -> image.Image | None:
        known = name in ("debian", "i")
        return image.Image(id="i", name="debian", size=3 * 1024**3) if known else None


def platform(
    cloud: FakeCloud | None = None,
    recorded: Mapping[str, Recorded] | None = None,
    **settings: Any,
) -> OpenStackPlatform:
    there: Any = cloud or FakeCloud()
    return OpenStackPlatform(
        Settings.model_validate({**GIVEN, **settings}),
        "shop",
        "0123",
        secret=str,
        folder=Path("/nowhere"),
        recorded=lambda: recorded or {},
        connect=lambda: there,
    )


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def plain(name: str = "thing-1", **guest: Any) -> Machine:
    made = machine(name)
    given = {"nics": (), "os_disk": Disk("os"), **guest}
    return replace(made, guest=replace(made.guest, **given))
