"""Outputs: what a module offers to others, worked out without building its machine.

That way, members of a cluster can name each other's addresses, and their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pgstead.certificates import KeyPair

__all__ = ["COMMON", "Output", "OutputValue", "Source", "endpoint"]


@dataclass(frozen=True, slots=True)
class OutputValue:
    """A module's output; a secret one is shown to nobody unasked."""

    value: Any = field(repr=False)
    secret: bool = False


class Source(Protocol):
    """The module that an output is asked of."""

    @property
    def name(self) -> str:
        """The machine's name."""

    @property
    def address(self) -> str:
        """The machine's address."""

    def get(self, variable: str) -> Any:
        """The value of a top level variable, its references resolved; None if not given."""

    def password(self, what: str) -> str:
        """The password that pgstead makes for the module."""

    def client_certificate(self, what: str, *, common_name: str) -> KeyPair | None:
        """A client's certificate, by the module's authority; None where it has none."""


Output = Callable[[Source], OutputValue]


def endpoint(port: int) -> Output:
    """An output "address:port"."""
    return lambda source: OutputValue(f"{source.address}:{port}")


COMMON: Mapping[str, Output] = {
    "ip": lambda source: OutputValue(source.address),
    "name": lambda source: OutputValue(source.name),
}
