"""The machines' addresses: wanted ones, remembered ones, and free ones in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from pgstead.errors import PlatformError, SpecError

Allocate = Callable[[Iterable[str], Mapping[str, str]], Mapping[str, str]]
"""`allocate(machines, taken)`: free addresses for those machines, none of the taken ones."""


class Addresses:
    """Addresses by machine, each of one machine only."""

    def __init__(self, stored: Mapping[str, str], allocate: Allocate) -> None:
        self._known = dict(stored)
        self._allocate = allocate
        self._given: dict[str, str] = {}
        """Address -> the machine that asked for it in this run."""

    def get(self, machine: str, wanted: str | None) -> str:
        """Raises `SpecError` if `wanted` is the address of another machine of this run."""
        if wanted is not None:
            self._known[machine] = wanted
        if machine not in self._known:
            self.reserve([machine])
        address = self._known[machine]
        owner = self._given.setdefault(address, machine)
        if owner != machine:
            raise SpecError(
                f"machines {owner!r} and {machine!r} both have the address {address}",
                hint="give one of them another `ip`, or none to have one chosen",
            )
        return address

    def reserve(self, machines: Iterable[str]) -> None:
        """Allocate for those that have none yet. Raises `PlatformError` if one gets none."""
        missing = sorted(set(machines) - self._known.keys())
        if not missing:
            return
        found = self._allocate(missing, dict(self._known))
        for machine in missing:
            if machine not in found:
                raise PlatformError(f"there is no free address for machine {machine!r}")
            self._known[machine] = found[machine]

    def release(self, machine: str) -> None:
        """Forget a machine's address."""
        address = self._known.pop(machine, None)
        if address is not None and self._given.get(address) == machine:
            del self._given[address]
