"""What the cloud offers and the stack file names: each kind listed once in a command."""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pgstead.errors import PlatformError
from pgstead.platforms.openstack.connection import Cloud
from pgstead.platforms.openstack.errors import explained
from pgstead.spec.nearest import suggestion

PORTS, SECURITY_GROUPS, SERVER_GROUPS = "ports", "security groups", "server groups"

Thing = TypeVar("Thing", bound="Named")


@dataclass(frozen=True, slots=True)
class Named:
    """Something of the cloud that has an id and a name."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Image(Named):
    """An image; `least` is the GiB that a disk made from it has to have."""

    least: int


@dataclass(frozen=True, slots=True)
class Network(Named):
    """A network; `external` ones lead out of the cloud and take no servers."""

    external: bool


@dataclass(frozen=True, slots=True)
class Subnet(Named):
    """An IPv4 subnet of a network; `pools` are first and last addresses."""

    network: str
    cidr: ipaddress.IPv4Network
    gateway: str | None
    pools: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class FoundPort(Named):
    """Any port of the project; `addresses` are its fixed ones, `device` what has it."""

    network: str
    addresses: tuple[str, ...]
    mac: str
    description: str
    device: str
    owner: str
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """What a security group lets in: TCP ports from a network, or from members of a group."""

    first: int
    last: int
    source: str


@dataclass(frozen=True, slots=True)
class SecurityGroup(Named):
    """A security group; `rules` are those that let something in, by their ids."""

    description: str
    rules: Mapping[str, Rule]


class Catalog:
    """The cloud's things by id or name. All lookups raise `PlatformError` for what is missing."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self._lists: dict[str, tuple[Any, ...]] = {}
        self._images: dict[str, Image] = {}
        self._guard = threading.RLock()

    def forget(self, *kinds: str) -> None:
        """Look again at what changes while a command runs: ports and groups, or only those."""
        with self._guard:
            for kind in kinds or (PORTS, SECURITY_GROUPS, SERVER_GROUPS):
                self._lists.pop(kind, None)

    def flavor(self, wanted: str) -> Named:
        """A flavor: the size of a server."""
        return _find(self._all("flavors", self._flavors), wanted, "flavor")

    def network(self, wanted: str | None) -> Network:
        """That network; where none is named, the only one that takes servers."""
        found = self._all("networks", self._networks)
        if wanted is not None:
            return _find(found, wanted, "network")
        inner = [one for one in found if not one.external]
        if len(inner) == 1:
            return inner[0]
        raise PlatformError(
            f"the project has {len(inner)} networks that take servers, and the stack file names"
            " none",
            hint=_listed(inner, "name one in platform.network"),
        )

    def subnet(self, network: Network, wanted: str | None) -> Subnet:
        """That subnet of the network; where none is named, its only one for IPv4."""
        found = [one for one in self._all("subnets", self._subnets) if one.network == network.id]
        if wanted is not None:
            return _find(found, wanted, f"IPv4 subnet of the network {network.name}")
        if len(found) == 1:
            return found[0]
        raise PlatformError(
            f"the network {network.name} has {len(found)} IPv4 subnets, and the stack file names"
            " none",
            hint=_listed(found, "name one in platform.subnet"),
        )

    def port(self, wanted: str) -> FoundPort:
        """An existing port."""
        return _find(self.ports, wanted, "port")

    @property
    def ports(self) -> tuple[FoundPort, ...]:
        """Every port of the project."""
        return self._all(PORTS, self._ports)

    @property
    def security_groups(self) -> tuple[SecurityGroup, ...]:
        """Every security group of the project."""
        return self._all(SECURITY_GROUPS, self._security_groups)

    def security_group(self, wanted: str) -> SecurityGroup:
        """An existing security group."""
        return _find(self.security_groups, wanted, "security group")

    def server_group(self, wanted: str) -> Named:
        """An existing server group."""
        return _find(self._all(SERVER_GROUPS, self._server_groups), wanted, "server group")

    def find_server_group(self, name: str) -> Named | None:
        """The server group of that name, if there is one."""
        found = self._all(SERVER_GROUPS, self._server_groups)
        return next((one for one in found if one.name == name), None)

    def image(self, wanted: str) -> Image:
        """An image. Asked for one by one: clouds have too many of them to list."""
        with self._guard:
            if wanted not in self._images:
                self._images[wanted] = self._image(wanted)
            return self._images[wanted]

    def _image(self, wanted: str) -> Image:
        with explained(f"image {wanted}"):
            found = self.cloud.image.find_image(wanted, ignore_missing=True)
            if found is not None:
                return Image(str(found.id), str(found.name), _gib(found))
            known = [Named(str(one.id), str(one.name)) for one in self.cloud.image.images()]
        raise _missing(known, wanted, "image")

    def key_pair(self, wanted: str) -> str:
        """The name of an existing key pair."""
        return _find(self._all("key pairs", self._key_pairs), wanted, "key pair").name

    # -- lists

    def _all(self, kind: str, ask: Callable[[], Iterable[Thing]]) -> tuple[Thing, ...]:
        with self._guard:
            if kind not in self._lists:
                with explained(f"list of {kind}"):
                    self._lists[kind] = tuple(ask())
            return self._lists[kind]

    def _flavors(self) -> Iterable[Named]:
        return [Named(str(one.id), str(one.name)) for one in self.cloud.compute.flavors()]

    def _key_pairs(self) -> Iterable[Named]:
        return [Named(str(one.name), str(one.name)) for one in self.cloud.compute.keypairs()]

    def _server_groups(self) -> Iterable[Named]:
        return [Named(str(one.id), str(one.name)) for one in self.cloud.compute.server_groups()]

    def _networks(self) -> Iterable[Network]:
        found = self.cloud.network.networks()
        return [Network(str(o.id), str(o.name), bool(o.is_router_external)) for o in found]

    def _subnets(self) -> Iterable[Subnet]:
        return [_subnet(one) for one in self.cloud.network.subnets(ip_version=4)]

    def _ports(self) -> Iterable[FoundPort]:
        return [found_port(one) for one in self.cloud.network.ports(project_id=self.cloud.project)]

    def _security_groups(self) -> Iterable[SecurityGroup]:
        found = self.cloud.network.security_groups(project_id=self.cloud.project)
        return [security_group(one) for one in found]


def _gib(image: Any) -> int:
    """GiB of the least disk: as the image says, and never less than it takes unpacked."""
    size = max(int(image.virtual_size or 0), int(image.size or 0))
    return max(int(image.min_disk or 0), -(-size // 1024**3), 1)


def _subnet(one: Any) -> Subnet:
    return Subnet(
        id=str(one.id),
        name=str(one.name),
        network=str(one.network_id),
        cidr=ipaddress.IPv4Network(one.cidr),
        gateway=one.gateway_ip or None,
        pools=tuple((pool["start"], pool["end"]) for pool in one.allocation_pools or ()),
    )


def found_port(one: Any) -> FoundPort:
    """A port, as the SDK gives it."""
    return FoundPort(
        id=str(one.id),
        name=str(one.name or ""),
        network=str(one.network_id),
        addresses=tuple(str(fixed["ip_address"]) for fixed in one.fixed_ips or ()),
        mac=str(one.mac_address or "").lower(),
        description=str(one.description or ""),
        device=str(one.device_id or ""),
        owner=str(one.device_owner or ""),
        groups=tuple(one.security_group_ids or ()),
    )


def security_group(one: Any) -> SecurityGroup:
    """A security group, as the SDK gives it; what it lets out is left aside."""
    rules = {
        str(rule["id"]): _rule(rule)
        for rule in one.security_group_rules or ()
        if rule["direction"] == "ingress"
    }
    return SecurityGroup(str(one.id), str(one.name), str(one.description or ""), rules)


def _rule(rule: Mapping[str, Any]) -> Rule:
    """A rule; one that is none of pgstead's kind has ports that none of pgstead's has."""
    known = rule.get("protocol") == "tcp" and rule.get("ethertype") == "IPv4"
    first, last = (rule.get("port_range_min"), rule.get("port_range_max")) if known else (0, 0)
    source = rule.get("remote_group_id") or rule.get("remote_ip_prefix") or "0.0.0.0/0"
    return Rule(int(first or 0), int(last or 0), str(source))


def _find(found: Iterable[Thing], wanted: str, what: str) -> Thing:
    """By id, else by name, which must be one's alone."""
    known = list(found)
    same = [one for one in known if one.id == wanted] or [o for o in known if o.name == wanted]
    if len(same) == 1:
        return same[0]
    if not same:
        raise _missing(known, wanted, what)
    raise PlatformError(
        f"{len(same)} things are called {wanted!r}, and a {what} is to be one of them",
        hint=f"give its id: {', '.join(sorted(one.id for one in same))}",
    )


def _missing(known: Iterable[Named], wanted: str, what: str) -> PlatformError:
    names = [one.name for one in known]
    near = suggestion(wanted, names).removeprefix("; ")
    if names and not near:
        near = f"there are {len(names)}; see `openstack {what.split(maxsplit=1)[0]} list`"
    article = "an" if what[0] in "aeiouAEIOU" else "a"
    return PlatformError(
        f"the cloud shows no {what} {wanted!r}",
        hint=near or f"the project sees none; {article} {what} has to be made first",
    )


def _listed(found: Iterable[Named], words: str) -> str:
    names = ", ".join(sorted(one.name for one in found))
    return f"{words}: {names}" if names else "make one first, e.g. `openstack network create`"
