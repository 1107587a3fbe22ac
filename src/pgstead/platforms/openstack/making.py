"""The steps that make a machine. Each can be run again at any point, by another process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgstead.engine.resource import Resource, Step, Steps
from pgstead.machine import Machine
from pgstead.platforms.guests.lowering import ADMIN, IMAGE, INTERFACES, SOFTWARE
from pgstead.platforms.openstack import groups, ports, servers, user_data
from pgstead.platforms.openstack.disks import Disks, MachineDisks
from pgstead.platforms.openstack.ground import Ground
from pgstead.platforms.openstack.naming import ADDRESS, KEY, USER
from pgstead.platforms.openstack.observe import noted
from pgstead.platforms.openstack.servers import Server
from pgstead.platforms.openstack.setting_up import SettingUp, is_set_up
from pgstead.platforms.openstack.volumes import Volume

BEGUN = f"{KEY}user_data"
"""Metadata of a server: a digest of what it was begun with."""

_NOTED = (IMAGE, INTERFACES, ADMIN, SOFTWARE)
"""What a server does not show, or what nobody may read back: it is written into its metadata."""


class Making:
    """Makes one machine. What one step found, the next ones of the same run need not look for."""

    def __init__(self, ground: Ground, resource: Resource, bindings: Mapping[str, str]) -> None:
        self.ground, self.resource, self.bindings = ground, resource, bindings
        self.machine: Machine = resource.body
        self.name = self.machine.name
        self._new = ground.begins(self.name)
        self.disks = MachineDisks(ground, resource, new=self._new)
        self._ports: tuple[str, ...] | None = None
        self._looked = self._new
        self._server: Server | None = None

    def steps(self) -> Steps:
        """Volumes, ports, the server, then what is inside."""
        name = self.name
        yield Step(f"make the volumes and ports of {name}", self.make_parts)
        yield Step(f"make the server of {name}", self.make_server)
        yield Step(f"wait until the server of {name} runs", self.wait_made)
        if not self.machine.guest.running:
            yield Step(f"shut {name} down", self.stop)
            return
        parts = (self.ground, self.resource, self.bindings, self.disks, self._found)
        yield from SettingUp(*parts).steps()

    def make_parts(self) -> None:
        """Groups, volumes and ports, where they are not there yet; volumes are not waited for."""
        groups.ensure_once(self.ground)
        server = self._found()
        if server is not None and not self._begins_anew(server):
            return
        if server is not None:  # begun in vain; data was never on its system
            servers.delete(self.ground, server)
            self._server = None
            self.disks.remove_system()
        self.disks.ask()
        self._ports = ports.ensure(self.ground, self.machine, new=self._new)

    def _begins_anew(self, server: Server) -> bool:
        """Whether a server is of no use: failed, forgotten, or begun to become another one."""
        if is_set_up(server):
            return False
        disks = None if server.status == servers.ERROR else self.disks.there()
        if disks is None or server.about.get(BEGUN) != self._mark(self._text(disks)):
            return True
        now = servers.settled(self.ground, server)
        return now is None or now.status in (servers.BUILD, servers.ERROR)

    def make_server(self) -> None:
        """Ask for the server, unless there is one already."""
        if self._found() is not None:
            return
        disks = self.disks.wait_usable()
        self._server = servers.make(self.ground, self._request(disks))

    def _request(self, disks: Disks) -> dict[str, Any]:
        ground, cloud = self.ground, self.machine.guest.cloud
        content = self._text(disks)
        user_data.check_fits(self.machine, content)
        group = groups.server_group(ground, self.machine)
        connected = self._ports or ports.ensure(ground, self.machine)
        return {
            "name": ground.naming.server(self.name),
            "flavor_id": ground.catalog.flavor(cloud.flavor or "").id,
            "networks": [{"port": port} for port in connected],
            "key_name": cloud.key_pair,
            "availability_zone": self.disks.zone,
            "user_data": user_data.packed(content),
            "has_config_drive": ground.settings.config_drive,
            "metadata": self._about(content),
            "tags": [ground.naming.tag, ground.naming.name_tag],
            "scheduler_hints": {"group": group} if group else None,
            **self._boots(disks),
        }

    def _boots(self, disks: Disks) -> dict[str, Any]:
        """What it boots from, and its further disk, which is there from the first moment on."""
        base = self.machine.guest.os_disk.base or ""
        image = None if disks.system else self.ground.catalog.image(base).id
        if image is not None and disks.data is None:
            return {"image_id": image}
        devices = [_device(disks.system, 0) if disks.system else _local(image)]
        if disks.data is not None:
            devices.append(_device(disks.data, -1))
        return {"image_id": image, "block_device_mapping": devices}

    def _about(self, content: str) -> dict[str, str]:
        values = self.resource.values
        return {
            **self.ground.naming.metadata(self.name),
            BEGUN: self._mark(content),
            ADDRESS: self.machine.address,
            USER: str(self.machine.guest.admin.user),
            **{noted(key): str(values[key]) for key in _NOTED if key in values},
        }

    def _text(self, disks: Disks) -> str:
        return user_data.text(self.ground, self.machine, self.bindings, disks.data_ids)

    def _mark(self, content: str) -> str:
        return user_data.mark(content, self.bindings)

    def wait_made(self) -> None:
        """Until it runs, or the cloud says why it cannot."""
        server = self._found() or servers.require(self.ground, self.name)
        if not is_set_up(server):
            servers.wait_made(self.ground, server)
        elif self.machine.guest.running:
            servers.start(self.ground, server)

    def stop(self) -> None:
        """A machine that is not to run."""
        servers.stop(self.ground, servers.require(self.ground, self.name))

    def _found(self) -> Server | None:
        """The server, as it was when these steps began, or as they made it."""
        if not self._looked:
            self._server, self._looked = servers.find(self.ground, self.name), True
        return self._server


def _device(volume: Volume, index: int) -> dict[str, Any]:
    """A volume as a disk of a server; it stays when the server goes."""
    return {
        "boot_index": index,
        "uuid": volume.id,
        "source_type": "volume",
        "destination_type": "volume",
        "delete_on_termination": False,
    }


def _local(image: str | None) -> dict[str, Any]:
    return {
        "boot_index": 0,
        "uuid": image,
        "source_type": "image",
        "destination_type": "local",
        "delete_on_termination": True,
    }
