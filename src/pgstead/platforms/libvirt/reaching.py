"""The ways into machines that the stack file may choose: ssh, the guest agent, none."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from pgstead.errors import PlatformError
from pgstead.platforms.cloud_init import conventional_text
from pgstead.platforms.libvirt.connection import is_local
from pgstead.platforms.libvirt.domain_xml import parsed, wires
from pgstead.platforms.libvirt.ground import ReachOf
from pgstead.platforms.libvirt.keys import Keys
from pgstead.reach.base import Reach
from pgstead.spec.libvirt import LibvirtPlatform

SSH = "ssh"
"""The folder of keys, in the stack's own."""


def reach_of(settings: LibvirtPlatform, keys: Keys, folder: Path) -> ReachOf | None:
    """What makes the way into a machine; None where there shall be none."""
    if settings.reach == "none":
        return None
    if settings.reach == "guest_agent":
        return _by_agent
    own = _private_key(settings)

    def by_ssh(machine: str, address: str, user: str, domain: Any) -> Reach:
        from pgstead.reach.ssh import SshTarget, ssh_reach, write_keys  # noqa: PLC0415

        if _is_shared(domain) and way(settings, shared=True, local=_is_here(domain)) != "ssh":
            return _by_agent(machine, address, user, domain)
        target = SshTarget(machine, address, user, folder / SSH, _sockets())
        private = own if own is not None else keys.admin().private
        write_keys(target, private_key=private, host_key=keys.host(machine).public)
        return ssh_reach(target, conventional_text)

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


def forget(folder: Path) -> None:
    """Remove what connections to the stack's machines needed."""
    shutil.rmtree(folder / SSH, ignore_errors=True)


def _by_agent(machine: str, address: str, user: str, domain: Any) -> Reach:
    from pgstead.reach.guest_agent import agent_reach, libvirt_call  # noqa: PLC0415

    del address, user
    return agent_reach(machine, libvirt_call(domain, machine), conventional_text)


def _private_key(settings: LibvirtPlatform) -> str | None:
    if settings.ssh_key is None:
        return None
    try:
        return settings.ssh_key.read_text(encoding="utf-8")
    except OSError as error:
        raise PlatformError(
            f"the private key {settings.ssh_key} cannot be read: {error.strerror}",
            hint="see platform.ssh_key",
        ) from error


def _sockets() -> Path:
    """A short folder of the user's own: a socket's path has 107 bytes at most."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    base = Path(runtime) if runtime else Path(tempfile.gettempdir())
    return base / f"pgstead-ssh-{os.geteuid()}"
