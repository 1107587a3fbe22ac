"""Loopback addresses: one network 127.a.b.0/24 per stack, one address in it per machine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network

from pgstead.errors import PlatformError
from pgstead.platforms.local import sockets

USUAL_PORTS = (2379, 2380, 5432, 5433, 4443, 8404)
"""Where the servers of a stack listen: etcd, PostgreSQL, Patroni's API, HAProxy's statistics."""

LOOPBACK = IPv4Network("127.0.0.0/8")
_FIRST = 2 * 256  # 127.0.0.x and 127.0.1.x are other programs' (Debian: 127.0.1.1 is the host)
_COUNT = 255 * 256 - _FIRST
_ATTEMPTS = 64


def allocate(
    machines: Iterable[str], taken: Mapping[str, str], stack_id: str, network: str | None
) -> dict[str, str]:
    """Free addresses for those machines, in the network that the stack has or in a free one.

    Raises `PlatformError` if a port that servers need is taken on every address.
    """
    wanted = list(machines)
    if not wanted:
        return {}
    _refuse_wildcards()
    for candidate in _networks(stack_id, network, taken):
        given = _within(candidate, wanted, set(taken.values()))
        if given is not None:
            return given
    where = network or "the networks that were tried in 127.0.0.0/8"
    raise PlatformError(
        f"there are no {len(wanted)} free addresses in {where}",
        hint="name a larger or another network in platform.network, e.g. 127.77.7.0/24",
    )


def occupied(addresses: Mapping[str, str], own: Callable[[], frozenset[int]]) -> dict[str, str]:
    """Of those machines' addresses, in words, which ones others took since they were given.

    `own` gives the inodes of the sockets that the stack's own processes have open; it is
    asked only if somebody listens at all. A port where the machine itself serves is its own.
    """
    found = sockets.listeners()
    usual = [one for one in found if one.port in USUAL_PORTS]
    ours = own() if usual else frozenset()
    told = {name: _taken(address, usual, ours) for name, address in addresses.items()}
    return {name: words for name, words in told.items() if words}


def _taken(address: str, found: list[sockets.Listener], own: frozenset[int]) -> str | None:
    for port in USUAL_PORTS:
        there = sockets.among(found, address, port)
        if there and not there & own:
            return f"{address}:{port} is taken by {sockets.who_holds(there)}"
    return None


def _networks(
    stack_id: str, network: str | None, taken: Mapping[str, str]
) -> Iterator[IPv4Network]:
    if network is not None:
        yield _checked(network)
        return
    for known in sorted({address.rpartition(".")[0] for address in taken.values()}):
        yield IPv4Network(f"{known}.0/24")
    start = int.from_bytes(hashlib.sha256(stack_id.encode()).digest()[:4], "big")
    for attempt in range(_ATTEMPTS):
        # 7919 is a prime: neighbours in hash do not walk the same way for long.
        third = _FIRST + (start + attempt * 7919) % _COUNT
        yield IPv4Network((int(LOOPBACK.network_address) + third * 256, 24))


def _checked(network: str) -> IPv4Network:
    try:
        found = IPv4Network(network)
    except ValueError as error:
        raise PlatformError(f"platform.network {network!r} is no network: {error}") from None
    if not found.subnet_of(LOOPBACK):
        raise PlatformError(
            f"platform.network {network} is not within 127.0.0.0/8",
            hint="machines of the local platform have loopback addresses, e.g. 127.77.7.0/24",
        )
    return found


def _within(network: IPv4Network, machines: list[str], used: set[str]) -> dict[str, str] | None:
    """Addresses of that network for all of the machines, or None if it has not enough."""
    free = (str(one) for one in network.hosts() if str(one) not in used and _is_free(one))
    given = dict(zip(machines, free, strict=False))
    return given if len(given) == len(machines) else None


def _is_free(address: IPv4Address) -> bool:
    return all(sockets.can_bind(str(address), port) for port in USUAL_PORTS)


def _refuse_wildcards() -> None:
    for listener in sockets.listeners():
        if listener.wildcard and listener.port in USUAL_PORTS:
            who = sockets.who_listens("127.0.0.1", listener.port)
            raise PlatformError(
                f"port {listener.port} is taken on every address by {who}",
                hint="have it listen on an address of its own (not 0.0.0.0 or ::), or end it",
            )
