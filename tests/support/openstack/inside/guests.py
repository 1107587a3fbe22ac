"""Nova's fake hypervisor, which remembers its guests and writes what their config drives hold.

guests/UUID/guest.json has the guest's power, volumes (mount point to volume) and ports (port to
MAC address); guests/UUID/drive is the config drive, if it has one. A test may write what a guest
says on its console to guests/UUID/console; by itself it says that its first boot is done, or what
guests/console says.
"""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path
from typing import Any

from nova.api.metadata import base as metadata
from nova.compute import power_state
from nova.virt import configdrive, fake

FOLDER = Path.cwd() / "guests"
BOOTED = b"pgstead: first boot is done\n"
"""The line for which whoever follows a guest's console waits."""


class Guests(fake.FakeDriver):  # type: ignore[misc]
    """One host of guests; a host that starts again has those that it had."""

    def init_host(self, host: str) -> None:
        super().init_host(host)
        for file in FOLDER.glob("*/guest.json"):
            known = json.loads(file.read_text())
            if known["host"] == host:
                self._remember(file.parent.name, known)

    def _remember(self, key: str, known: dict[str, Any]) -> None:
        state = power_state.RUNNING if known["running"] else power_state.SHUTDOWN
        self.instances[key] = fake.FakeInstance(known["name"], state, key)
        self._mounts[known["name"]] = {
            mount: {"serial": volume} for mount, volume in known["volumes"].items()
        }
        self._interfaces |= {
            port: {"id": port, "address": mac} for port, mac in known["ports"].items()
        }

    def spawn(  # noqa: PLR0917 - as nova calls it
        self,
        context: Any,
        instance: Any,
        image: Any,
        files: Any,
        password: Any,
        allocations: Any,
        network: Any = None,
        disks: Any = None,
        *more: Any,
        **named: Any,
    ) -> None:
        network, disks = named.pop("network_info", network), named.pop("block_device_info", disks)
        folder = FOLDER / instance.uuid
        folder.mkdir(parents=True, exist_ok=True)
        moved = network is None  # it comes from another host, with all that it has
        if configdrive.required_by(instance) and not moved:
            _write_drive(folder / "drive", instance, files, network)
        first = (context, instance, image, files, password, allocations, network, disks)
        super().spawn(*first, *more, **named)
        self._mounts[instance.name] = {
            one["mount_device"]: one["connection_info"]
            for one in (disks or {}).get("block_device_mapping", [])
        }
        connected = None if moved else {vif["id"]: vif["address"] for vif in network or []}
        self._save(instance, ports=connected)

    def destroy(self, context: Any, instance: Any, *more: Any, **named: Any) -> None:
        super().destroy(context, instance, *more, **named)
        self._mounts.pop(instance.name, None)
        if _known(instance).get("host", self._host) == self._host:  # it was not moved away
            shutil.rmtree(FOLDER / instance.uuid, ignore_errors=True)

    def power_on(self, context: Any, instance: Any, *more: Any, **named: Any) -> None:
        super().power_on(context, instance, *more, **named)
        self._save(instance)

    def power_off(self, instance: Any, *more: Any, **named: Any) -> None:
        super().power_off(instance, *more, **named)
        self._save(instance)

    def attach_volume(
        self, context: Any, info: Any, instance: Any, *more: Any, **named: Any
    ) -> None:
        super().attach_volume(context, info, instance, *more, **named)
        self._save(instance)

    def detach_volume(
        self, context: Any, info: Any, instance: Any, *more: Any, **named: Any
    ) -> None:
        super().detach_volume(context, info, instance, *more, **named)
        self._save(instance)

    def attach_interface(self, context: Any, instance: Any, image: Any, vif: Any) -> None:
        super().attach_interface(context, instance, image, vif)
        self._save(instance, ports={**_ports(instance), vif["id"]: vif["address"]})

    def detach_interface(self, context: Any, instance: Any, vif: Any) -> None:
        super().detach_interface(context, instance, vif)
        left = {port: mac for port, mac in _ports(instance).items() if port != vif["id"]}
        self._save(instance, ports=left)

    def get_console_output(self, context: Any, instance: Any) -> bytes:
        places = (FOLDER / instance.uuid / "console", FOLDER / "console")
        return next((one.read_bytes() for one in places if one.exists()), BOOTED)

    def get_available_resource(self, nodename: str) -> dict[str, Any]:
        """The fake's, but a host that starts again is the same host."""
        found: dict[str, Any] = super().get_available_resource(nodename)
        return {**found, "uuid": _node(nodename)} if found else found

    def get_nodenames_by_uuid(self, refresh: bool = False) -> dict[str, str]:  # noqa: FBT001, FBT002
        return {_node(name): name for name in self.get_available_nodes()}

    def _save(self, instance: Any, ports: dict[str, str] | None = None) -> None:
        guest = self.instances.get(instance.uuid)
        if guest is None:
            return
        volumes = self._mounts.get(instance.name, {})
        known = {
            "host": self._host,
            "name": instance.name,
            "running": guest.state == power_state.RUNNING,
            "volumes": {mount: info.get("serial") for mount, info in volumes.items()},
            "ports": _ports(instance) if ports is None else ports,
        }
        file = FOLDER / instance.uuid / "guest.json"
        part = file.with_suffix(".part")
        part.write_text(json.dumps(known, indent=1))
        part.replace(file)


def _known(instance: Any) -> dict[str, Any]:
    file = FOLDER / instance.uuid / "guest.json"
    known: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return known


def _ports(instance: Any) -> dict[str, str]:
    return dict(_known(instance).get("ports", {}))


def _node(host: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, host))


def _write_drive(drive: Path, instance: Any, files: Any, network: Any) -> None:
    """What nova would put on the drive, as it makes it for any hypervisor."""
    contents = metadata.InstanceMetadata(instance, content=files, network_info=network)
    for path, value in contents.metadata_for_config_drive():
        file = drive / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(value if isinstance(value, bytes) else value.encode())
