"""The OpenStack platform: machines are servers of one project of a cloud."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import ClassVar

from pgstead.engine.resource import Data, Observed, Recorded, Resource, Steps
from pgstead.errors import PlatformError, Refused
from pgstead.machine import Machine, OnChange
from pgstead.modules.base import Facts
from pgstead.platforms.base import Digest, Found, Power
from pgstead.platforms.guests.breaking import GuestBreaking
from pgstead.platforms.guests.guest import restart, wait_answers
from pgstead.platforms.guests.keys import Keys
from pgstead.platforms.guests.lowering import KIND
from pgstead.platforms.guests.records import data_is_given, nothing_recorded, record_of
from pgstead.platforms.guests.spreading import spread
from pgstead.platforms.guests.ssh import forget, ssh_ways
from pgstead.platforms.openstack import addresses, finding, groups, lower, servers, showing, volumes
from pgstead.platforms.openstack.catalog import Catalog
from pgstead.platforms.openstack.changing import Changing
from pgstead.platforms.openstack.connection import Cloud, Connect
from pgstead.platforms.openstack.ground import Ground, ReachOf
from pgstead.platforms.openstack.making import Making
from pgstead.platforms.openstack.naming import Naming
from pgstead.platforms.openstack.observe import observe
from pgstead.platforms.openstack.removing import remove
from pgstead.platforms.openstack.standing import ServerStanding
from pgstead.platforms.openstack.volumes import Volume
from pgstead.reach.base import Reach
from pgstead.spec.openstack import OpenStackPlatform as Settings


class OpenStackPlatform:
    """Implements `platforms.base.Platform`. Its methods may be used from several threads.

    `recorded` gives the state's records: where machines are. `secret` gives a secret of the
    stack by its name, from which SSH keys follow. `folder` is where what ssh needs is kept,
    for the user's eyes alone. `reach` makes another way into machines than ssh, `connect`
    another connection than clouds.yaml and the OS_* variables say.
    """

    kind: ClassVar[str] = "openstack"

    def __init__(
        self,
        settings: Settings,
        stack_name: str,
        stack_id: str,
        *,
        secret: Callable[[str], str],
        folder: Path,
        recorded: Callable[[], Mapping[str, Recorded]] = nothing_recorded,
        reach: ReachOf | None = None,
        connect: Connect | None = None,
    ) -> None:
        keys, cloud, self.folder = Keys(secret), Cloud(settings, connect), folder
        entered = None
        if settings.delivery == "reach":
            entered = reach or ssh_ways(keys, folder, settings.ssh_key)
        self.ground = Ground(
            settings=settings,
            naming=Naming(stack_name, stack_id, settings.name_prefix),
            cloud=cloud,
            catalog=Catalog(cloud),
            keys=keys,
            reach_of=entered,
            recorded=recorded,
        )

    @property
    def requests(self) -> int:
        """How many requests the cloud was sent so far."""
        return self.ground.cloud.requests

    def resolve(self) -> Facts:
        """What runs in the machines is the image's or their packages' business: not known."""
        return Facts(self.kind, port_address=self._port_address)

    def _port_address(self, port: str) -> str | None:
        found = self.ground.catalog.port(port)
        if not found.addresses:
            raise PlatformError(
                f"the port {port!r} has no fixed address",
                hint="give it one, since machines have static addresses",
            )
        return found.addresses[0]

    def allocate(self, machines: Iterable[str], taken: Mapping[str, str]) -> Mapping[str, str]:
        """Free addresses of the range in the stack file, or of the subnet."""
        return addresses.allocate(self.ground, machines, taken)

    def occupied(self, given: Mapping[str, str]) -> Mapping[str, str]:
        """Of those machines' addresses, which ones other ports have."""
        return addresses.occupied(self.ground, given)

    def lower(self, machines: Iterable[Machine], digest: Digest) -> tuple[Resource, ...]:
        """The machines, complete. Raises `PlatformError` for what the cloud does not offer."""
        ground = self.ground
        ground.keys.ask()
        known = [lower.complete(machine, ground.settings) for machine in machines]
        recorded, asked = ground.recorded(), ground.settings.availability_zones
        for machine in known:
            lower.check(machine, ground, recorded.get(f"{KIND}.{machine.name}"))
        ground.expect(*known)
        placed = spread(known, asked, recorded, key="zone") if asked else {}
        zones = lower.zones(known, placed)
        return tuple(
            lower.resource(
                machine,
                ground,
                digest,
                zone=zones[machine.name],
                recorded=recorded.get(f"{KIND}.{machine.name}"),
            )
            for machine in known
        )

    def shown(
        self, machines: Iterable[Machine], digest: Digest, *, secrets: bool
    ) -> Mapping[str, Mapping[str, str]]:
        """Each machine's user data."""
        del digest
        ground = self.ground
        known = (lower.complete(machine, ground.settings) for machine in machines)
        return {one.name: showing.shown(ground, one, secrets=secrets) for one in known}

    def observe(
        self, targets: Mapping[str, Resource | Recorded], digest: Digest
    ) -> Mapping[str, Observed]:
        """What is there; all of it Unknown while the cloud does not answer."""
        bodies = (one.body for one in targets.values() if isinstance(one, Resource))
        self.ground.expect(*(one for one in bodies if isinstance(one, Machine)))
        return observe(self.ground, targets, digest)

    def found(self) -> tuple[Found, ...]:
        """The servers whose metadata names this stack."""
        return finding.found(self.ground)

    def create(self, resource: Resource, bindings: Mapping[str, str]) -> Steps:
        """Volumes, ports, server, software; a data volume that is there is kept."""
        self.ground.expect(resource.body)
        return Making(self.ground, resource, bindings).steps()

    def update(self, resource: Resource, changed: Mapping[str, OnChange]) -> Steps:
        """Grow, push, reload, restart: as little of it as the changes take."""
        self.ground.expect(resource.body)
        return Changing(self.ground, resource).steps(changed)

    def delete(self, recorded: Recorded, *, data: Data) -> Steps:
        """Stop and remove; the data volume stays unless it shall be deleted."""
        return remove(self.ground, recorded, data)

    def kept(self) -> tuple[Path, ...]:
        """Data volumes of machines that are no more, or that were put aside."""
        return tuple(Path(f"{one.name} ({one.id})") for one in self._left())

    def _left(self) -> list[Volume]:
        recorded = {one.place.get("machine") for one in self.ground.recorded().values()}
        found = (one for one in volumes.of_stack(self.ground) if one.use == volumes.DATA)
        return [one for one in found if one.aside or one.machine not in recorded]

    def dispose(self, *, data: Data) -> tuple[Path, ...]:
        """Remove the stack's own groups; gives the data volumes that were kept."""
        if data is Data.DELETE:
            for volume in volumes.of_stack(self.ground):
                volumes.delete(self.ground, volume)
        groups.remove(self.ground)
        forget(self.folder)
        return self.kept()

    def keeps_data(self, machine: str) -> bool | None:
        """Whether a data volume is there that the machine was set up around once."""
        if data_is_given(self.ground.recorded(), machine):
            return None
        found = volumes.find(self.ground, machine, volumes.DATA)
        return found is not None and found.holds_data

    def reach(self, machine: str) -> Reach:
        """How to push to, run on and read from a machine."""
        place = self._record(machine).place
        user = str(place.get("user") or self.ground.settings.admin.user)
        found = self.ground.reach(machine, str(place["address"]), user)
        if found is None:
            raise PlatformError(
                f"there is no way into {machine} (platform.delivery is user_data)",
                hint="use delivery: reach, where ssh reaches the machines",
            )
        return found

    def start(self, machine: str) -> None:
        """Start a machine; returns when it answers."""
        servers.start(self.ground, servers.require(self.ground, machine))
        if self.ground.reach_of is not None:
            wait_answers(self.reach(machine), machine, self.ground.settings.boot_deadline)

    def stop(self, machine: str) -> None:
        """Shut a machine down cleanly; it stays off until `start` or `up`."""
        servers.stop(self.ground, servers.require(self.ground, machine))

    def restart(self, machine: str, service: str) -> None:
        """Restart one service."""
        restart(self.reach(machine), machine, service)

    def power(self, machine: str) -> Power:
        """Whether its server runs or stands still, and which of the cloud's actions began that."""
        found = servers.require(self.ground, machine)
        if found.status in servers.RESTS:
            return Power(on=False)
        if found.status not in servers.ON:
            raise PlatformError(f"the server of {machine} is {found.status}: it may run or not")
        return Power(on=True, boot=servers.boot(self.ground, found))

    def trouble(self) -> str:
        """Guests look after their services themselves, and the cloud after its hosts."""
        return ""

    def power_off(self, machine: str, boot: str) -> None:
        """Have the server off. Raises `Refused` if it was started again since.

        A cloud gives a server some time to shut down (60 s by default) before it cuts it off.
        """
        found = servers.find(self.ground, machine)
        if found is None or found.status == servers.OFF:
            return
        if servers.boot(self.ground, found) != boot:
            raise Refused(f"{machine} was started again since: it is not that boot any more")
        servers.stop(self.ground, found)

    def breaking(self) -> GuestBreaking:
        """Ways to break machines: from the inside, and by pausing their servers."""
        return GuestBreaking(self.reach, ServerStanding(self.ground))

    def _record(self, machine: str) -> Recorded:
        return record_of(self.ground.recorded(), machine, "address")
