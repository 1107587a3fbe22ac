"""What every module gets and gives: the types between a stack file and machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from pgstead.certificates import Authority, CertificateRequest, KeyPair


@dataclass(frozen=True, slots=True)
class Facts:
    """What the stack names and already exists, as its platform found it.

    `versions` are those of the servers that will run, e.g. `{"postgresql": "15.18"}`.
    """

    platform: str
    versions: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


class Materials(Protocol):
    """What pgstead owns for a stack. Asked for by name, made on the first ask, then kept."""

    def address(self, machine: str, wanted: str | None = None) -> str:
        """The machine's IPv4 address; `wanted` is one that the stack file gives."""

    def password(self, name: str) -> str:
        """The password of that name."""

    def authority(self, name: str) -> Authority:
        """The certificate authority of that name; its key is None where only others sign."""

    def certificate(self, request: CertificateRequest) -> KeyPair:
        """A certificate as asked for, renewed when its end is near or the request changed."""


@dataclass(frozen=True, slots=True)
class Context:
    """Everything a module may depend on besides its own variables."""

    facts: Facts
    materials: Materials
