"""The yardstick of `bench/servers.py`: servers with ports and volumes, by openstacksdk alone.

    bench/servers_plain.py COUNT

What a careful script does: volumes, ports and servers are asked for, as many side by side as
pgstead has, and waited for. It keeps no record, checks nothing afterwards and could not be run
again. The cloud is the one that OS_CLIENT_CONFIG_FILE names.
"""

from __future__ import annotations

import base64
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openstack

WORKERS = 16
"""As many as pgstead has at work at a time (`pgstead.engine.apply`)."""

NAME = "lab"
SIZE = 1
SECONDS = 600
USER_DATA = base64.b64encode(b"#cloud-config\n" + b"# what a machine is told\n" * 400).decode()


def main(count: int) -> None:
    """Make them all; raises what openstacksdk raises."""
    warnings.simplefilter("ignore")
    cloud: Any = openstack.connect(cloud="member")
    flavor, image = cloud.compute.find_flavor(NAME), cloud.image.find_image(NAME)
    network = cloud.network.find_network(NAME)
    group = cloud.network.create_security_group(name="plain")
    for port in (22, 5432):
        cloud.network.create_security_group_rule(
            security_group_id=group.id,
            direction="ingress",
            protocol="tcp",
            port_range_min=port,
            port_range_max=port,
        )
    same = {"flavor": flavor.id, "image": image.id, "network": network.id, "group": group.id}
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda number: make(cloud, f"plain-{number}", same), range(count)))


def make(cloud: Any, name: str, same: dict[str, str]) -> None:
    """One server, when it runs."""
    storage, compute = cloud.block_storage, cloud.compute
    volume = storage.create_volume(name=name, size=SIZE, image_id=same["image"])
    port = cloud.network.create_port(
        name=name, network_id=same["network"], security_group_ids=[same["group"]]
    )
    storage.wait_for_status(volume, "available", interval=1, wait=SECONDS)
    disk = {
        "boot_index": 0,
        "uuid": volume.id,
        "source_type": "volume",
        "destination_type": "volume",
    }
    server = compute.create_server(
        name=name,
        flavor_id=same["flavor"],
        networks=[{"port": port.id}],
        block_device_mapping=[disk],
        config_drive=True,
        user_data=USER_DATA,
    )
    compute.wait_for_server(server, interval=1, wait=SECONDS)


if __name__ == "__main__":
    main(int(sys.argv[1]))
