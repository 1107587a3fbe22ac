"""What is there of the machines: one list of each kind for all of them, then what is inside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pgstead.engine.resource import Observed, Present, Recorded, Resource, Unknown, Value
from pgstead.errors import PlatformError
from pgstead.machine import Machine, Nic
from pgstead.platforms.base import Digest
from pgstead.platforms.guests import inside, lowering
from pgstead.platforms.openstack import groups, lower, ports, servers, volumes
from pgstead.platforms.openstack.catalog import PORTS, SECURITY_GROUPS, FoundPort
from pgstead.platforms.openstack.errors import CloudDown
from pgstead.platforms.openstack.ground import Ground
from pgstead.platforms.openstack.naming import KEY
from pgstead.platforms.openstack.servers import Server
from pgstead.platforms.openstack.volumes import Volume
from pgstead.platforms.software import STOPPED

WORKERS = 8

Values = dict[str, Value | Unknown]


def noted(key: str) -> str:
    """Under which key of a server's metadata an attribute's value is kept."""
    return f"{KEY}{key}"


@dataclass(frozen=True, slots=True)
class Stock:
    """All that the cloud has of a stack, as listed once."""

    servers: Mapping[str, Server]
    ports: Mapping[ports.Key, FoundPort]
    volumes: tuple[Volume, ...]

    @property
    def machines(self) -> frozenset[str]:
        """Those of which anything is there."""
        connected = (name for name, _ in self.ports)
        return frozenset((*self.servers, *connected, *(one.machine for one in self.volumes)))

    def volume(self, machine: str, use: str) -> Volume | None:
        """A machine's volume for that use, but for those put aside."""
        mine = (one for one in self.volumes if (one.machine, one.use) == (machine, use))
        return next((one for one in mine if not one.aside), None)


def stock(ground: Ground) -> Stock:
    """List everything of the stack, side by side."""
    ground.catalog.forget()
    with ThreadPoolExecutor(4, thread_name_prefix="list") as pool:
        found = pool.submit(servers.of_stack, ground)
        connected = pool.submit(ports.of_stack, ground)
        kept = pool.submit(volumes.of_stack, ground)
        pool.submit(lambda: ground.catalog.security_groups).result()
        return Stock(found.result(), connected.result(), tuple(kept.result()))


def stock_of(ground: Ground, machine: Machine) -> Stock:
    """What there is of one machine alone: no list grows with the others.

    What this command has just set the security groups to is not asked for again.
    """
    ground.catalog.forget(PORTS, *(() if ground.grouped else (SECURITY_GROUPS,)))
    name = machine.name
    server = servers.find(ground, name)
    connected = {
        (name, number): port
        for number, nic in enumerate(machine.guest.nics)
        if (nic.port is None or nic.port.existing is None)
        and (port := ports.find(ground, name, number)) is not None
    }
    kept = (volumes.find(ground, name, use) for use in _uses(machine))
    return Stock(
        {name: server} if server else {}, connected, tuple(one for one in kept if one is not None)
    )


def _uses(machine: Machine) -> Iterator[str]:
    """What volumes the machine may have for."""
    if machine.guest.cloud.boot_from_volume:
        yield volumes.OS
    if machine.guest.data_disk is not None:
        yield volumes.DATA


def observe(
    ground: Ground, targets: Mapping[str, Resource | Recorded], digest: Digest
) -> dict[str, Observed]:
    """Each machine; several are looked into at a time, since most of it is waiting for answers."""
    if not targets:
        return {}
    try:
        found = _stock(ground, targets)
    except PlatformError as error:
        down = isinstance(error, CloudDown)
        return dict.fromkeys(targets, Unknown(error.message, down=down))
    with ThreadPoolExecutor(min(WORKERS, len(targets)), thread_name_prefix="observe") as pool:
        seen = pool.map(lambda one: _machine(ground, found, one, digest), targets.values())
        return dict(zip(targets, seen, strict=True))


def _stock(ground: Ground, targets: Mapping[str, Resource | Recorded]) -> Stock:
    """Of all machines at once; of a single one, as each change asks at its end, that one's."""
    only = next(iter(targets.values())) if len(targets) == 1 else None
    body = only.body if isinstance(only, Resource) else None
    if isinstance(body, Machine):
        return stock_of(ground, body)
    found, recorded = stock(ground), ground.recorded()
    new = (str(one.place.get("machine", "")) for key, one in targets.items() if key not in recorded)
    with ground.making:
        ground.untouched = set(new) - found.machines
    return found


def _machine(ground: Ground, found: Stock, target: Resource | Recorded, digest: Digest) -> Observed:
    name = str(target.place.get("machine", ""))
    server = found.servers.get(name)
    if server is None:
        return _left(found, name) if isinstance(target, Recorded) else None
    try:
        return _Look(ground, found, server, target).present(digest)
    except PlatformError as error:
        return Unknown(error.message)


def _left(found: Stock, machine: str) -> Observed:
    """What a machine that is to go, and has no server any more, left to be removed."""
    left = any(name == machine for name, _ in found.ports)
    kept = any(one.machine == machine and not one.aside for one in found.volumes)
    return Present({}, ("its server is gone already",)) if left or kept else None


class _Look:
    """A look at one machine that has a server."""

    def __init__(
        self, ground: Ground, found: Stock, server: Server, target: Resource | Recorded
    ) -> None:
        self.ground, self.found, self.server, self.target = ground, found, server, target
        self.name = server.machine
        self.wanted = dict(target.values)
        self.notes: list[str] = []
        body = target.body if isinstance(target, Resource) else None
        self.machine = body if isinstance(body, Machine) else None

    def present(self, digest: Digest) -> Present:
        values = {**self._outside(), **self._disks(), **self._inside(digest)}
        if self.server.is_on and lowering.SOFTWARE in self.wanted:
            self.notes.append(
                "is not looked into (delivery: user_data): whether its services run, and its"
                " files are as they were made, is unknown"
            )
        return Present(values, tuple(self.notes))

    def _outside(self) -> Values:
        server = self.server
        found: Values = {
            lowering.IMAGE: self._noted(lowering.IMAGE),
            lowering.ADMIN: self._noted(lowering.ADMIN),
            lowering.INTERFACES: self._interfaces(),
            lower.FLAVOR: server.flavor,
            lowering.POWER: self._power(),
        }
        if lower.KEY_PAIR in self.wanted:
            found[lower.KEY_PAIR] = server.key_pair
        if lower.ZONE in self.wanted:
            found[lower.ZONE] = server.zone
        if lower.ACCESS in self.wanted:
            found[lower.ACCESS] = self._access()
        if lowering.SOFTWARE in self.wanted or noted(lowering.SOFTWARE) in server.about:
            found[lowering.SOFTWARE] = self._noted(lowering.SOFTWARE)
        return found

    def _noted(self, key: str) -> Value:
        return self.server.about.get(noted(key))

    def _power(self) -> str:
        if self.server.is_on:
            return lowering.ON
        return lowering.OFF if self.server.status == servers.OFF else self.server.status.lower()

    def _interfaces(self) -> Value:
        """What they were made from, as long as the ports are there, addresses and all."""
        if self.machine is None:
            return self._noted(lowering.INTERFACES)
        for number, nic in enumerate(self.machine.guest.nics):
            if (wrong := self._wrong(number, nic)) is not None:
                return wrong
        return self._noted(lowering.INTERFACES)

    def _wrong(self, number: int, nic: Nic) -> str | None:
        existing = nic.port.existing if nic.port else None
        if existing is not None:
            port: FoundPort | None = self.ground.catalog.port(existing)
        else:
            port = self.found.ports.get((self.name, number))
        if port is None:
            return f"the port with {nic.address} is gone"
        if nic.address not in port.addresses:
            return f"now {', '.join(port.addresses)}"
        return None if port.device == self.server.id else "the port is connected to something else"

    def _access(self) -> Value:
        if self.machine is None:
            return self.wanted[lower.ACCESS]
        own = [
            port.groups
            for (name, _), port in sorted(self.found.ports.items(), key=lambda one: one[0])
            if name == self.name
        ]
        return groups.observed(self.ground, self.machine, own)

    def _disks(self) -> Values:
        uses = ((lowering.OS_DISK, volumes.OS), (lowering.DATA_DISK, volumes.DATA))
        sizes = {key: self._size(key, use) for key, use in uses if key in self.wanted}
        return {key: size for key, size in sizes.items() if size is not None}

    def _size(self, key: str, use: str) -> int | None:
        """In GiB; None for a volume that the server does not have."""
        volume = self.found.volume(self.name, use)
        if volume is None or self.server.id not in volume.servers:
            return None
        wanted, before = self.wanted[key], self._recorded(key)
        if isinstance(wanted, int) and volume.size > wanted and before in (None, wanted):
            self.notes.append(
                f"its {use} disk has {volume.size} GiB, more than {wanted}: it is left so"
            )
            return wanted
        return volume.size

    def _recorded(self, key: str) -> Value:
        known = self.ground.recorded().get(self.target.address)
        return known.values.get(key) if known else None

    def _inside(self, digest: Digest) -> Values:
        keys = [key for key in self.wanted if lowering.is_inside(key)]
        if not keys:
            return {}
        if not self.server.is_on:
            return {key: _of_one_that_is_off(key) for key in keys}
        place = self.target.place
        user = str(place.get("user") or self.ground.settings.admin.user)
        reach = self.ground.reach(self.name, str(place["address"]), user)
        if reach is None:
            return dict.fromkeys(keys, Unknown("there is no way into the machine"))
        gone = inside.unwanted(self.target, self.ground.recorded().get(self.target.address))
        return inside.values(reach, self.target, [*keys, *gone], digest)


def _of_one_that_is_off(key: str) -> Value | Unknown:
    return STOPPED if key.startswith("running:") else Unknown("the machine is off")
