"""The libvirt platform: machines are domains on one or several hosts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from pgstead.engine.resource import Data, Observed, Recorded, Resource, Steps
from pgstead.errors import PlatformError, Refused
from pgstead.machine import Machine, OnChange
from pgstead.modules.base import Facts
from pgstead.platforms.base import Digest, Found, Power
from pgstead.platforms.guests import lowering
from pgstead.platforms.guests.breaking import GuestBreaking
from pgstead.platforms.guests.guest import restart, wait_answers
from pgstead.platforms.guests.keys import Keys
from pgstead.platforms.guests.pushing import SHUTDOWN_SECONDS
from pgstead.platforms.guests.records import data_is_given, nothing_recorded, record_of
from pgstead.platforms.guests.spreading import spread
from pgstead.platforms.guests.ssh import forget
from pgstead.platforms.libvirt import addresses, domains, finding, lower, metadata, showing
from pgstead.platforms.libvirt import data as data_volumes
from pgstead.platforms.libvirt.changing import Changing
from pgstead.platforms.libvirt.connection import Host, Hosts
from pgstead.platforms.libvirt.drivers import driver_of
from pgstead.platforms.libvirt.errors import explained
from pgstead.platforms.libvirt.events import heard
from pgstead.platforms.libvirt.ground import Ground, ReachOf
from pgstead.platforms.libvirt.making import Making
from pgstead.platforms.libvirt.naming import Naming
from pgstead.platforms.libvirt.observe import observe
from pgstead.platforms.libvirt.reaching import reach_of
from pgstead.platforms.libvirt.removing import remove
from pgstead.platforms.libvirt.standing import DomainStanding
from pgstead.reach.base import Reach
from pgstead.spec.libvirt import LibvirtPlatform as Settings

ONLY_HOST = "host"
"""The name of the host where the stack file gives one URI."""


class LibvirtPlatform:
    """Implements `platforms.base.Platform`. Its methods may be used from several threads.

    `recorded` gives the state's records: where machines are. `secret` gives a secret of the
    stack by its name, from which SSH keys follow. `folder` is where what ssh needs is kept,
    for the user's eyes alone. `reach` makes another way into machines than the settings do.
    """

    kind: ClassVar[str] = "libvirt"

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
    ) -> None:
        naming = Naming(stack_name, stack_id, settings.name_prefix)
        keys, self.folder = Keys(secret), folder
        self.ground = Ground(
            settings=settings,
            naming=naming,
            hosts=Hosts(hosts_of(settings)),
            keys=keys,
            reach_of=reach or reach_of(settings, keys, folder),
            recorded=recorded,
        )

    def resolve(self) -> Facts:
        """What runs in the machines is the image's or their packages' business: not known."""
        own_kernel = all(driver_of(host).own_kernel for host in self.ground.hosts)
        return Facts(self.kind, has_watchdog=own_kernel)

    def allocate(self, machines: Iterable[str], taken: Mapping[str, str]) -> Mapping[str, str]:
        """Free addresses of the range in the stack file, or of the network."""
        return addresses.allocate(self.ground, machines, taken)

    def occupied(self, given: Mapping[str, str]) -> Mapping[str, str]:
        """Of those machines' addresses, which ones other domains have."""
        return addresses.occupied(self.ground, given)

    def lower(self, machines: Iterable[Machine], digest: Digest) -> tuple[Resource, ...]:
        """The machines, each on its host, complete."""
        self.ground.keys.ask()
        known, recorded = tuple(machines), self.ground.recorded()
        placed = spread(known, self.ground.hosts.names, recorded, key="host")
        return tuple(
            self._resource(machine, placed[machine.name], digest, recorded) for machine in known
        )

    def _resource(
        self, machine: Machine, host: str, digest: Digest, recorded: Mapping[str, Recorded]
    ) -> Resource:
        ground = self.ground
        real = lower.complete(machine, ground.settings, ground.hosts.get(host), ground.naming)
        return lower.resource(
            real,
            host,
            ground.naming,
            digest,
            sees_inside=ground.reach_of is not None,
            recorded=recorded.get(f"{lowering.KIND}.{machine.name}"),
        )

    def shown(
        self, machines: Iterable[Machine], digest: Digest, *, secrets: bool
    ) -> Mapping[str, Mapping[str, str]]:
        """What cloud-init reads of each machine, and the XML of its domain."""
        return {
            one.body.name: showing.shown(self.ground, one, secrets=secrets)
            for one in self.lower(machines, digest)
        }

    def observe(
        self, targets: Mapping[str, Resource | Recorded], digest: Digest
    ) -> Mapping[str, Observed]:
        """What is there; a machine whose host is down is Unknown."""
        return observe(self.ground, targets, digest)

    def found(self) -> tuple[Found, ...]:
        """The domains on all hosts whose metadata names this stack."""
        return finding.found(self.ground)

    def create(self, resource: Resource, bindings: Mapping[str, str]) -> Steps:
        """Disks, definition, first boot; existing disks are kept."""
        return Making(self.ground, resource, bindings).steps()

    def update(self, resource: Resource, changed: Mapping[str, OnChange]) -> Steps:
        """Grow, push, reload, restart: as little of it as the changes take."""
        return Changing(self.ground, resource).steps(changed)

    def delete(self, recorded: Recorded, *, data: Data) -> Steps:
        """Stop and remove; the data volume stays unless it shall be deleted."""
        return remove(self.ground, recorded, data)

    def kept(self) -> tuple[Path, ...]:
        """Data volumes of machines that are no more, as POOL/VOLUME; with their host if several."""
        return tuple(map(Path, data_volumes.left(self.ground)))

    def dispose(self, *, data: Data) -> tuple[Path, ...]:
        """Remove the stack's own networks and pools; gives the data volumes that were kept."""
        for host in self.ground.hosts:
            if data is Data.DELETE:
                data_volumes.remove_all(self.ground, host)
            self.ground.clear(host)
        forget(self.folder)
        return self.kept()

    def keeps_data(self, machine: str) -> bool | None:
        """Whether a machine's data volume is there and holds something."""
        known = self.ground.recorded()
        if data_is_given(known, machine):
            return None
        record = known.get(f"{lowering.KIND}.{machine}")
        return record is not None and "host" in record.place and self._holds(record)

    def _holds(self, record: Recorded) -> bool:
        return data_volumes.holds(self.ground, record.place)

    def reach(self, machine: str) -> Reach:
        """How to push to, run on and read from a machine."""
        record = self._record(machine)
        domain = self.ground.domain(record.place)
        user = str(metadata.of_domain(domain).get("user") or self.ground.settings.admin.user)
        found = self.ground.reach(machine, str(record.place["address"]), user, domain)
        if found is None:
            raise PlatformError(
                f"there is no way into {machine} (platform.reach is none)",
                hint="set platform.reach to ssh or guest_agent",
            )
        return found

    def start(self, machine: str) -> None:
        """Start a machine; returns when it answers."""
        place = self._record(machine).place
        host, domain = self.ground.host(place), self.ground.domain(place)
        domains.start(host, domain)
        self._wait_answers(machine)

    def stop(self, machine: str) -> None:
        """Shut a machine down cleanly; it stays off until `start` or `up`."""
        place = self._record(machine).place
        host, domain = self.ground.host(place), self.ground.domain(place)
        if domains.is_on(domain):
            domains.shut_down(host, domain, SHUTDOWN_SECONDS)

    def restart(self, machine: str, service: str) -> None:
        """Restart one service."""
        restart(self.reach(machine), machine, service)

    def power(self, machine: str) -> Power:
        """Whether the domain runs, and which start of it."""
        place = self._record(machine).place
        host, domain = self.ground.host(place), self.ground.domain(place)
        with explained(f"look at {machine}", host.name):
            if not domains.is_on(domain):
                return Power(on=False)
            return Power(on=True, boot=domains.boot(domain))

    @contextmanager
    def watch(self, machines: Collection[str], changed: Callable[[], None]) -> Iterator[None]:
        """Call `changed` when a domain of theirs starts, ends or is suspended."""
        known, hosts = self.ground.recorded(), self.ground.hosts
        records = (known.get(f"{lowering.KIND}.{name}") for name in machines)
        places = [one.place for one in records if one and one.place.get("host") in hosts]
        with heard([(hosts.get(one["host"]), str(one["uuid"])) for one in places], changed):
            yield

    def trouble(self) -> str:
        """Guests look after their services themselves, and hosts after their guests."""
        return ""

    def power_off(self, machine: str, boot: str) -> None:
        """End the domain at once. Raises `Refused` if it was started again since."""
        place = self._record(machine).place
        host, domain = self.ground.host(place), self.ground.domain(place)
        with explained(f"look at {machine}", host.name):
            if not domains.is_on(domain):
                return
            if domains.boot(domain) != boot:
                raise Refused(f"{machine} was started again since: it is not that boot any more")
        domains.cut_off(host, domain)

    def breaking(self) -> GuestBreaking:
        """Ways to break machines: from the inside, and by suspending their domains."""
        standing = DomainStanding(self.ground, lambda machine: self._record(machine).place)
        return GuestBreaking(self.reach, standing)

    def _wait_answers(self, machine: str) -> None:
        if self.ground.reach_of is None:
            return
        wait_answers(self.reach(machine), machine, self.ground.settings.boot_deadline)

    def _record(self, machine: str) -> Recorded:
        return record_of(self.ground.recorded(), machine, "host")


def hosts_of(settings: Settings) -> dict[str, Host]:
    """The hosts that a stack file names, by name; one that has no name is called `host`."""
    if not settings.hosts:
        one = Host(
            ONLY_HOST,
            settings.uri,
            settings.pool,
            settings.network,
            settings.macvtap,
            settings.image,
        )
        return {ONLY_HOST: one}
    return {
        name: Host(
            name,
            host.uri,
            host.pool or settings.pool,
            host.network or (None if host.macvtap else settings.network),
            host.macvtap or (None if host.network else settings.macvtap),
            host.image or settings.image,
        )
        for name, host in settings.hosts.items()
    }
