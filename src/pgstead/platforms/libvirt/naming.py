"""What things of a stack are called on its hosts, and how they are known to be its own."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass

_SPACE = uuid.UUID("6b2f4c2e-6c1b-5c52-9d3a-4c9f2c1f7a55")


@dataclass(frozen=True, slots=True)
class Naming:
    """A stack's names. Ids follow from the stack's own: an interrupted run finds its things."""

    stack: str
    stack_id: str
    prefix: str = ""

    def domain(self, machine: str) -> str:
        """A machine's domain."""
        return f"{self.prefix}{machine}"

    def uuid(self, kind: str, name: str) -> str:
        """The id of a domain, network or pool of the stack's own."""
        return str(uuid.uuid5(_SPACE, f"{self.stack_id}/{kind}/{name}"))

    def volume(self, machine: str, use: str, suffix: str = "") -> str:
        """A volume of the stack's own: its name tells machine, use and stack."""
        return f"{self.domain(machine)}-{use}-{self._mark}{suffix}"

    @property
    def data_suffix(self) -> str:
        """What the names of data volumes end with, but for the number of a later one."""
        return f"-data-{self._mark}"

    @property
    def image_suffix(self) -> str:
        """What the names of base images end with that were uploaded for this stack."""
        return f"-image-{self._mark}"

    @property
    def _mark(self) -> str:
        return hashlib.sha256(self.stack_id.encode()).hexdigest()[:8]

    def mac(self, machine: str, number: int) -> str:
        """A MAC address, where none is given, from QEMU's range."""
        found = hashlib.sha256(f"{self.stack_id}/{machine}/{number}".encode()).digest()
        return ":".join(["52:54:00", *(f"{byte:02x}" for byte in found[:3])])


OS_SERIAL = "os"
DATA_SERIAL = "pgstead-data"
