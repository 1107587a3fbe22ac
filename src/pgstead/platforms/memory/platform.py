"""The memory platform: machines that are only written down."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

from pgstead.engine.resource import Data, Observed, Recorded, Resource, Steps
from pgstead.errors import PlatformError
from pgstead.machine import Machine, OnChange
from pgstead.modules.base import Facts
from pgstead.platforms.base import Digest, Found, Power
from pgstead.platforms.breaking import Unbreakable
from pgstead.platforms.memory.provider import MemoryProvider
from pgstead.platforms.memory.world import World
from pgstead.platforms.software import attributes
from pgstead.reach.base import Reach

VERSIONS = {"postgresql": "17.0", "etcd": "3.5.21", "haproxy": "3.0.0", "patroni": "4.0.4"}
"""What the machines of this platform claim to run."""

NETWORK = ipaddress.ip_network("10.0.0.0/8")


class MemoryPlatform:
    """Implements `platforms.base.Platform` but for what needs a machine that runs."""

    kind: ClassVar[str] = "memory"

    def __init__(self, world: World) -> None:
        self.provider = MemoryProvider(world)

    def resolve(self) -> Facts:
        """Made-up versions."""
        return Facts(self.kind, VERSIONS)

    def allocate(self, machines: Iterable[str], taken: Mapping[str, str]) -> Mapping[str, str]:
        """The next addresses of a private network."""
        used = set(taken.values())
        first = int(NETWORK.network_address) + 1
        free = (
            str(ipaddress.ip_address(first + offset)) for offset in range(NETWORK.num_addresses)
        )
        unused = (address for address in free if address not in used)
        return dict(zip(machines, unused, strict=False))

    def occupied(self, given: Mapping[str, str]) -> Mapping[str, str]:
        """Nobody else is in this world."""
        del given
        return {}

    def lower(self, machines: Iterable[Machine], digest: Digest) -> tuple[Resource, ...]:
        """A resource per machine, with its software's attributes."""
        return tuple(self._resource(machine, digest) for machine in machines)

    def _resource(self, machine: Machine, digest: Digest) -> Resource:
        return Resource(
            f"machine.{machine.name}",
            "machine",
            attributes(machine, digest),
            tuple(f"machine.{name}" for name in machine.after),
            holds_data=any(directory.data for directory in machine.software.directories),
            body=machine,
        )

    def observe(
        self, targets: Mapping[str, Resource | Recorded], digest: Digest
    ) -> Mapping[str, Observed]:
        """What was written down."""
        del digest
        return self.provider.observe(targets)

    def found(self) -> tuple[Found, ...]:
        """The machines of this world, which is one stack's alone."""
        prefix = "machine."
        return tuple(
            Found(address.removeprefix(prefix), "", where="in memory")
            for address in sorted(self.provider.world.addresses)
            if address.startswith(prefix)
        )

    def create(self, resource: Resource, bindings: Mapping[str, str]) -> Steps:
        """Write it down."""
        del bindings
        return self.provider.create(resource, recorded=None)

    def update(self, resource: Resource, changed: Mapping[str, OnChange]) -> Steps:
        """Write down what changed."""
        return self.provider.update(resource, changed)

    def delete(self, recorded: Recorded, *, data: Data) -> Steps:
        """Strike it out."""
        return self.provider.delete(recorded, data=data)

    def keeps_data(self, machine: str) -> bool:
        """There is no data."""
        del machine
        return False

    def kept(self) -> tuple[Path, ...]:
        """Nothing is kept in a folder."""
        return ()

    def dispose(self, *, data: Data) -> tuple[Path, ...]:
        """Nothing is shared, and nothing kept in a folder."""
        del data
        return ()

    def reach(self, machine: str) -> Reach:
        """Nothing runs there."""
        raise PlatformError(f"{machine} is on the memory platform, where nothing runs")

    def start(self, machine: str) -> None:
        """Nothing runs there."""
        self.reach(machine)

    def stop(self, machine: str) -> None:
        """Nothing runs there."""
        self.reach(machine)

    def restart(self, machine: str, service: str) -> None:
        """Nothing runs there."""
        del service
        self.reach(machine)

    def power(self, machine: str) -> Power:
        """On, once it is written down."""
        return Power(on=self.provider.world.get(f"machine.{machine}") is not None, boot="1")

    def trouble(self) -> str:
        """Memory does not ail."""
        return ""

    def power_off(self, machine: str, boot: str) -> None:
        """Nothing runs there."""
        del boot
        self.reach(machine)

    def breaking(self) -> Unbreakable:
        """Nothing runs there."""
        return Unbreakable("nothing runs on the memory platform")
