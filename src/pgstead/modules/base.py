"""What every module gets and gives: the types between a stack file and machines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from pgstead.certificates import Authority, CertificateRequest, KeyPair


@dataclass(frozen=True, slots=True)
class Facts:
    """What the stack names and already exists, as its platform found it.

    `versions` are those of the servers that will run, e.g. `{"postgresql": "15.18"}`.
    `has_watchdog` is whether a machine may have one that resets it, and nothing else.
    """

    platform: str
    versions: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    has_watchdog: bool = True

    @property
    def shares_kernel(self) -> bool:
        """Whether the machines share one kernel, and so its address space and devices."""
        return self.platform == "local"


class Materials(Protocol):
    """What pgstead owns for a stack. Asked for by name, made on the first ask, then kept."""

    def address(self, machine: str, wanted: str | None = None) -> str:
        """The machine's IPv4 address; `wanted` is one that the stack file gives."""

    def reserve(self, machines: Iterable[str]) -> None:
        """Find addresses for all of those machines that have none, in one go."""

    def password(self, name: str) -> str:
        """The password of that name."""

    def authority(self, name: str, given: Authority | None = None) -> Authority:
        """The certificate authority of that name; its key is None where only others sign.

        `given` is one that the stack file brings along: it is used as it is, for the
        certificates asked for from then on, and not kept.
        """

    def certificate(self, request: CertificateRequest) -> KeyPair:
        """A certificate as asked for, renewed when its end is near or the request changed."""

    def recall(self, name: str) -> str | None:
        """What was remembered under that name in this or an earlier run, if anything."""

    def remember(self, name: str, value: str) -> None:
        """Keep a word that no later run could find out, for as long as it is kept again."""


@dataclass(frozen=True, slots=True)
class Context:
    """Everything a module may depend on besides its own variables.

    `module` is its key in the stack file; `authorities` are those of the stack file by
    name, None for the ones that pgstead makes itself. `look` gives the text of a file on a
    machine; None where there is none, or no way to see it.
    """

    facts: Facts
    materials: Materials
    module: str = ""
    authorities: Mapping[str, Authority | None] = field(
        default_factory=lambda: MappingProxyType({})
    )
    look: Callable[[str, str], str | None] = lambda _machine, _path: None
