"""What things of a stack are called in its cloud, and how they are known to be its own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

KEY = "pgstead_"
"""Begins every key of metadata that is pgstead's."""

STACK, STACK_ID = f"{KEY}stack", f"{KEY}stack_id"
MACHINE, USE = f"{KEY}machine", f"{KEY}use"
ADDRESS, USER = f"{KEY}address", f"{KEY}user"


@dataclass(frozen=True, slots=True)
class Naming:
    """A stack's names and marks. They follow from its id: an interrupted run finds its things."""

    stack: str
    stack_id: str
    prefix: str = ""

    @property
    def mark(self) -> str:
        """Eight characters that tell stacks of one name apart."""
        return hashlib.sha256(self.stack_id.encode()).hexdigest()[:8]

    @property
    def tag(self) -> str:
        """The tag of all of the stack's servers."""
        return f"pgstead-{self.mark}"

    @property
    def name_tag(self) -> str:
        """The tag of the servers of all stacks of this name, whatever their id."""
        return f"pgstead-stack-{self.stack}"

    def server(self, machine: str) -> str:
        """A machine's server."""
        return f"{self.prefix}{machine}"

    def volume(self, machine: str, use: str) -> str:
        """A machine's volume for one use: `os`, `data`."""
        return f"{self.prefix}{machine}-{use}-{self.mark}"

    def group(self, role: str) -> str:
        """A security group of a role, or the server group of a cluster."""
        return f"{self.prefix}{self.stack}-{role}-{self.mark}"

    def port(self, machine: str, number: int) -> str:
        """The description of a machine's port: it tells whose it is, as its name may not."""
        return f"{self._ours} {machine}/{number}"

    def port_of(self, description: str) -> tuple[str, int] | None:
        """The machine and the number that a port's description tells; None if it is not ours."""
        stack, _, place = description.rpartition(" ")
        machine, _, number = place.rpartition("/")
        return (machine, int(number)) if stack == self._ours and number.isdigit() else None

    @property
    def description(self) -> str:
        """The description of what all machines share."""
        return self._ours

    @property
    def _ours(self) -> str:
        return f"pgstead {self.stack} {self.stack_id}"

    def metadata(self, machine: str, use: str | None = None) -> dict[str, str]:
        """What a server, or a volume for that use, says of itself."""
        found = {STACK: self.stack, STACK_ID: self.stack_id, MACHINE: machine}
        return {**found, USE: use} if use else found
