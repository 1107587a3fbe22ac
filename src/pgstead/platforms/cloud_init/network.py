"""The network of a machine, in cloud-init's version 2 of it (which is netplan's)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pgstead.errors import PlatformError
from pgstead.machine import Nic


def network_config(nics: Sequence[Nic], unknown: str | None = None) -> dict[str, Any]:
    """Static addresses on interfaces that are found by their MAC address, or by their name.

    Every interface must have a prefix length, unless `unknown` stands for one that is not
    known, and a MAC address unless it has a pattern.
    """
    return {
        "version": 2,
        "ethernets": {f"nic{number}": _interface(nic, unknown) for number, nic in enumerate(nics)},
    }


def _interface(nic: Nic, unknown: str | None) -> dict[str, Any]:
    length = nic.prefix_length or unknown
    if length is None:
        raise PlatformError(
            f"the prefix length of the interface with {nic.address} is not known",
            hint="give prefix_length with the interface, or under platform",
        )
    return {
        "match": _match(nic),
        "addresses": [f"{nic.address}/{length}"],
        "dhcp4": False,
        "dhcp6": False,
        # Without it a boot waits 13 s for an IPv6 router that may not be there.
        "accept-ra": False,
        **({"routes": [{"to": "default", "via": nic.gateway}]} if nic.gateway else {}),
        **({"nameservers": {"addresses": list(nic.dns_servers)}} if nic.dns_servers else {}),
    }


def _match(nic: Nic) -> dict[str, str]:
    if nic.match is not None:
        return {"name": nic.match}
    if nic.mac is None:
        raise PlatformError(f"the interface with {nic.address} has no MAC address")
    return {"macaddress": nic.mac}
