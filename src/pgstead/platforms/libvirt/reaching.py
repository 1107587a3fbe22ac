"""The ways into machines that the stack file may choose: ssh, the guest agent, none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pgstead.platforms.cloud_init import conventional_text
from pgstead.platforms.guests.keys import Keys
from pgstead.platforms.guests.ssh import ssh_ways
from pgstead.platforms.libvirt.connection import is_local
from pgstead.platforms.libvirt.domain_xml import parsed, wires
from pgstead.platforms.libvirt.ground import ReachOf
from pgstead.reach.base import Reach
from pgstead.spec.libvirt import LibvirtPlatform


def reach_of(settings: LibvirtPlatform, keys: Keys, folder: Path) -> ReachOf | None:
    """What makes the way into a machine; None where there shall be none."""
    if settings.reach == "none":
        return None
    if settings.reach == "guest_agent":
        return _by_agent
    enter = ssh_ways(keys, folder, settings.ssh_key)

    def by_ssh(machine: str, address: str, user: str, domain: Any) -> Reach:
        if _is_shared(domain) and way(settings, shared=True, local=_is_here(domain)) != "ssh":
            return _by_agent(machine, address, user, domain)
        return enter(machine, address, user)

    return by_ssh


def way(settings: LibvirtPlatform, *, shared: bool, local: bool) -> str:
    """How a machine is entered: as the stack file says, and if it does not, as can be.

    `shared` tells that it has macvtap interfaces alone, `local` that its host is this machine:
    then neither reaches the other by network (the kernel's macvtap, in any mode).
    """
    if shared and local and "reach" not in settings.model_fields_set:
        return "guest_agent"
    return settings.reach


def _is_shared(domain: Any) -> bool:
    found = wires(parsed(domain.XMLDesc()))
    return bool(found) and all(one.macvtap for one in found)


def _is_here(domain: Any) -> bool:
    return is_local(domain.connect().getURI())


def _by_agent(machine: str, address: str, user: str, domain: Any) -> Reach:
    from pgstead.reach.guest_agent import agent_reach, libvirt_call  # noqa: PLC0415

    del address, user
    return agent_reach(machine, libvirt_call(domain, machine), conventional_text)
