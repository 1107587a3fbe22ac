"""The services of the lab: what they are called, where they listen, what the catalogue says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Service:
    """One process: `kind` and `path` are how the catalogue names it, `port` the usual one."""

    name: str
    port: int
    kind: str
    path: str = ""

    def url(self, address: str) -> str:
        """Where it is reached, without the catalogue's path."""
        return f"http://{address}:{self.port}"


SERVICES = {
    one.name: one
    for one in (
        Service("keystone", 5000, "identity", "/v3"),
        Service("glance", 9292, "image"),
        Service("placement", 8778, "placement"),
        Service("neutron", 9696, "network"),
        Service("nova", 8774, "compute", "/v2.1"),
        Service("cinder", 8776, "block-storage", "/v3"),
    )
}
"""In the order in which they start: nova's hosts report to keystone and placement at once."""

FIRST = ("keystone", "placement")
"""What has to answer before the others start."""

REGION = "RegionOne"
PASSWORD = "only-for-this-lab"
"""Of every user of the lab."""

USERS = ("member", "other")
"""Each an ordinary member of a project of the same name."""

NOWHERE = "lab.invalid"
"""Stands for the lab's address in the initial state, which is made before there is one."""

ZONES = {"nova-1": "zone-1", "nova-2": "zone-2", "nova-3": "zone-3"}
"""The hosts of nova's driver, each in an availability zone of its own."""
