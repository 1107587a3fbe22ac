"""What the hypervisor would run: a guest's power, its devices, and its config drive."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Guest:
    """One guest; everything is read anew each time."""

    folder: Path

    @property
    def is_on(self) -> bool:
        return bool(self._known["running"])

    @property
    def host(self) -> str:
        return str(self._known["host"])

    @property
    def volumes(self) -> dict[str, str]:
        """The ids of its volumes, by device."""
        return dict(self._known["volumes"])

    @property
    def ports(self) -> dict[str, str]:
        """The MAC addresses of its ports, by the ports' ids."""
        return dict(self._known["ports"])

    @property
    def address(self) -> str | None:
        """Its first IPv4 address, as its config drive says."""
        networks = self.network_data["networks"] if self.drive.exists() else []
        return next((str(one["ip_address"]) for one in networks if "ip_address" in one), None)

    @property
    def drive(self) -> Path:
        """What is on its config drive; the folder is not there if it has none."""
        return self.folder / "drive"

    @property
    def user_data(self) -> bytes:
        return (self.drive / "openstack/latest/user_data").read_bytes()

    @property
    def meta_data(self) -> dict[str, Any]:
        return self._json("meta_data.json")

    @property
    def network_data(self) -> dict[str, Any]:
        return self._json("network_data.json")

    def say(self, text: str) -> None:
        """Have the console show this from now on, all of it."""
        (self.folder / "console").write_text(text)

    @property
    def _known(self) -> dict[str, Any]:
        known: dict[str, Any] = json.loads((self.folder / "guest.json").read_text())
        return known

    def _json(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.drive / "openstack/latest" / name).read_text())
        return found
