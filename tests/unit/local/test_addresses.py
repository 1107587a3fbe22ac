from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest

from pgstead.errors import PlatformError
from pgstead.platforms.local import addresses, sockets
from pgstead.platforms.local.sockets import Listener


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, int]]:
    """What cannot be bound, as the tests fill it; nothing else is looked at."""
    full: set[tuple[str, int]] = set()
    monkeypatch.setattr(sockets, "can_bind", lambda address, port: (address, port) not in full)
    monkeypatch.setattr(sockets, "listeners", list)
    monkeypatch.setattr(sockets, "who_listens", lambda address, port: "python3 (process 4711)")
    return full


def test_a_stack_has_a_network_of_its_own(taken: set[tuple[str, int]]) -> None:
    one = addresses.allocate(["a", "b", "c"], {}, "one", None)
    assert sorted(one) == ["a", "b", "c"]
    (network,) = {IPv4Network((address, 24), strict=False) for address in one.values()}
    assert network.subnet_of(IPv4Network("127.0.0.0/8"))
    assert addresses.allocate(["a", "b", "c"], {}, "one", None) == one
    assert not set(one.values()) & set(addresses.allocate(["a"], {}, "two", None).values())


def test_later_machines_come_into_the_same_network(taken: set[tuple[str, int]]) -> None:
    first = addresses.allocate(["a"], {}, "one", None)
    more = addresses.allocate(["b"], first, "one", None)
    assert IPv4Address(more["b"]) == IPv4Address(first["a"]) + 1


def test_addresses_where_a_port_is_taken_are_left_out(taken: set[tuple[str, int]]) -> None:
    usual = addresses.allocate(["a"], {}, "one", None)["a"]
    taken.add((usual, 4443))
    assert addresses.allocate(["a"], {}, "one", None)["a"] == str(IPv4Address(usual) + 1)


def test_the_next_network_is_taken_where_one_is_full(taken: set[tuple[str, int]]) -> None:
    usual = addresses.allocate(["a"], {}, "one", None)["a"]
    network = IPv4Network((usual, 24), strict=False)
    taken.update((str(host), 5432) for host in network)
    other = addresses.allocate(["a"], {}, "one", None)["a"]
    assert IPv4Address(other) not in network


@pytest.mark.parametrize("stack", [str(number) for number in range(200)])
def test_the_networks_of_other_programs_are_never_taken(
    stack: str, taken: set[tuple[str, int]]
) -> None:
    address = addresses.allocate(["a"], {}, stack, None)["a"]
    assert not address.startswith(("127.0.0.", "127.0.1.", "127.255.255."))


def test_a_network_can_be_given(taken: set[tuple[str, int]]) -> None:
    given = addresses.allocate(["a", "b"], {}, "one", "127.77.7.0/29")
    assert given == {"a": "127.77.7.1", "b": "127.77.7.2"}
    with pytest.raises(PlatformError, match=r"no 7 free addresses in 127\.77\.7\.0/29"):
        addresses.allocate("abcdefg", {}, "one", "127.77.7.0/29")


@pytest.mark.parametrize(
    ("network", "why"), [("10.0.0.0/24", "is not within 127"), ("127.7.0.0/99", "is no network")]
)
def test_a_network_that_is_none_is_refused(
    network: str, why: str, taken: set[tuple[str, int]]
) -> None:
    with pytest.raises(PlatformError, match=why):
        addresses.allocate(["a"], {}, "one", network)


def test_a_wildcard_listener_is_told_of(
    taken: set[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "listeners", lambda: [Listener(5432, "00000000", True, 1)])
    with pytest.raises(PlatformError, match=r"port 5432 is taken on every address by python3 \("):
        addresses.allocate(["a"], {}, "one", None)


def test_who_took_an_address_is_told(
    taken: set[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"free": "127.7.7.6", "one": "127.7.7.7", "two": "127.7.7.8"}
    assert addresses.occupied(given, not_asked) == {}
    there = [
        Listener(5432, sockets._kernel_form("127.7.7.7"), False, 1),
        Listener(2379, sockets._kernel_form("127.7.7.8"), False, 2),
        Listener(80, sockets._kernel_form("127.7.7.6"), False, 3),
    ]
    monkeypatch.setattr(sockets, "listeners", lambda: there)
    monkeypatch.setattr(sockets, "who_holds", lambda inodes: f"{sorted(inodes)}")
    assert addresses.occupied(given, lambda: frozenset({2})) == {
        "one": "127.7.7.7:5432 is taken by [1]"
    }


def not_asked() -> frozenset[int]:
    raise AssertionError


def test_no_machines_need_no_addresses(taken: set[tuple[str, int]]) -> None:
    assert addresses.allocate([], {}, "one", None) == {}


def test_the_kernels_form_of_an_address() -> None:
    assert sockets._kernel_form("127.1.2.3") in ("0302017F", "7F010203")
