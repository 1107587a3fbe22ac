"""What every module gets and gives: the types between a stack file and machines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from pgstead.certificates import Authority, CertificateRequest, KeyPair
from pgstead.membership import EtcdMember


@dataclass(frozen=True, slots=True)
class Facts:
    """What the stack names and already exists, as its platform found it.

    `versions` are those of the servers that will run, e.g. `{"postgresql": "15.18"}`.
    `has_watchdog` is whether a machine may have one that resets it, and nothing else.
    `port_address` gives the first fixed address of a cloud's port, by its id or name; None
    where there are no such ports. It raises `PlatformError` for one that does not exist, or
    has none.
    """

    platform: str
    versions: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    has_watchdog: bool = True
    port_address: Callable[[str], str | None] = field(default=lambda _port: None, compare=False)

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
    machine; None where there is none, or no way to see it. `etcd_version` asks that member
    for the version of its cluster's data, e.g. "3.4.0"; None where it does not answer.
    `etcd_managed` are the tokens of etcd clusters whose users pgstead sets up.
    """

    facts: Facts
    materials: Materials
    module: str = ""
    authorities: Mapping[str, Authority | None] = field(
        default_factory=lambda: MappingProxyType({})
    )
    etcd_managed: frozenset[str] = frozenset()
    look: Callable[[str, str], str | None] = lambda _machine, _path: None
    etcd_version: Callable[[EtcdMember], str | None] = lambda _member: None
