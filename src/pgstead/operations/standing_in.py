"""Addresses in place of those that only a host or a cloud can give, while it does not answer."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from pgstead.errors import PlatformError, Unreachable

if TYPE_CHECKING:
    from pgstead.engine.addresses import Allocate
    from pgstead.modules.base import Facts

NETWORKS = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
"""Addresses that nobody has: they are kept for documentation (RFC 5737)."""


class StandIns:
    """Gives addresses that nobody has, and puts words in their places in what is shown."""

    def __init__(self) -> None:
        hosts = chain.from_iterable(ipaddress.ip_network(one).hosts() for one in NETWORKS)
        self._free = map(str, hosts)
        self._words: dict[str, str] = {}
        self.reason: str | None = None
        """Why there are any; None where there are none."""

    def allocate(self, ask: Allocate) -> Allocate:
        """`ask`, and where nobody answers, an address for each machine that needs one."""

        def asked(machines: Iterable[str], taken: Mapping[str, str]) -> Mapping[str, str]:
            names = list(machines)
            try:
                return ask(names, taken)
            except Unreachable as error:
                used = frozenset(taken.values())
                return {one: self._stand_in(f"(address of {one})", error, used) for one in names}

        return asked

    def facts(self, found: Facts) -> Facts:
        """The same facts, and where nobody answers, an address for each port of a cloud."""

        def port_address(port: str) -> str | None:
            try:
                return found.port_address(port)
            except Unreachable as error:
                return self._stand_in(f"(address of the port {port})", error)

        return replace(found, port_address=port_address)

    def _stand_in(self, words: str, error: Unreachable, used: frozenset[str] = frozenset()) -> str:
        self.reason = error.message
        for address, known in self._words.items():
            if known == words:
                return address
        for address in self._free:
            if address not in used:
                self._words[address] = words
                return address
        raise PlatformError(f"there are more machines than made-up addresses: {error.message}")

    def told(self, text: str) -> str:
        """`text` with words in the places of these addresses."""
        if not self._words:
            return text
        known = "|".join(map(re.escape, self._words))
        return re.sub(rf"(?<![\d.])({known})(?!\.?\d)", lambda one: self._words[one[1]], text)
