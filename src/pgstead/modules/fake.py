"""Materials for tests and rehearsals: every text says what it stands for, and never changes."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address

from pgstead.certificates import Authority, CertificateRequest, KeyPair

__all__ = ["FakeMaterials"]


class FakeMaterials:
    """Implements `modules.base.Materials` without a key, a clock or a random source.

    Addresses count up from `first`, in the order of asking.
    `asked` holds every certificate that was asked for, by name.
    """

    def __init__(self, first: str = "10.0.0.1") -> None:
        self._first = IPv4Address(first)
        self._addresses: dict[str, str] = {}
        self._given: dict[str, Authority] = {}
        self.asked: dict[str, CertificateRequest] = {}
        self.reserved: list[str] = []
        self.remembered: dict[str, str] = {}

    def address(self, machine: str, wanted: str | None = None) -> str:
        """`wanted`, or the next one."""
        if machine not in self._addresses:
            self._addresses[machine] = wanted or str(self._first + len(self._addresses))
        return self._addresses[machine]

    def reserve(self, machines: Iterable[str]) -> None:
        """Number those machines."""
        for machine in machines:
            self.reserved.append(machine)
            self.address(machine)

    def password(self, name: str) -> str:
        """A text with the name in it."""
        return f"<password {name}>"

    def authority(self, name: str, given: Authority | None = None) -> Authority:
        """The given one, or one whose certificate is its name."""
        if given is not None:
            self._given[name] = given
        return self._given.get(name) or Authority(f"<authority {name}>\n", f"<key of {name}>\n")

    def certificate(self, request: CertificateRequest) -> KeyPair:
        """A certificate whose text is the request."""
        known = self.asked.setdefault(request.name, request)
        if known != request:
            raise ValueError(f"two different requests are named {request.name}")
        authority = self.authority(request.authority)
        lines = [f"<certificate {request.name}>", *_described(request)]
        return KeyPair("\n".join(lines) + "\n", f"<key {request.name}>\n", authority.certificate)

    def recall(self, name: str) -> str | None:
        """What was remembered."""
        return self.remembered.get(name)

    def remember(self, name: str, value: str) -> None:
        """Into `remembered`."""
        self.remembered[name] = value


def _described(request: CertificateRequest) -> list[str]:
    usages = [
        word for word, used in (("server", request.server), ("client", request.client)) if used
    ]
    return [
        f"authority: {request.authority}",
        f"subject: CN={request.common_name or ''} O={request.organization}",
        f"hosts: {' '.join((*request.addresses, *request.names))}",
        f"usages: {' '.join(usages)}",
        f"hours: {request.validity_hours}, renewed {request.early_renewal_hours} before",
        f"key: {request.key}",
    ]
