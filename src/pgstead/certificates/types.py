"""What an authority, a certificate and a request for one are."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

KeyKind = Literal["ecdsa-p256", "rsa-2048", "rsa-3072", "rsa-4096"]


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority in PEM; without a key it verifies, but cannot sign."""

    certificate: str
    key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate, its private key and the authority that signed it, in PEM."""

    certificate: str
    key: str = field(repr=False)
    ca: str = ""


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """A certificate as it should be.

    `name` is unique in the stack and stable. `common_name` None gives a subject with an
    organization only (etcd takes a client's common name for its user). Every address in
    `addresses` stands in the certificate as iPAddress and as dNSName, since libpq before
    15 and some others match only the latter. Periods are hours.
    """

    name: str
    authority: str
    common_name: str | None
    organization: str
    addresses: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    server: bool = True
    client: bool = False
    validity_hours: int = 365 * 24
    early_renewal_hours: int = 30 * 24
    key: KeyKind = "ecdsa-p256"


@dataclass(frozen=True, slots=True)
class CertificateInfo:
    """What a certificate says.

    `subject` and `issuer` are RFC 4514 texts; `names` are the dNSNames and `addresses` the
    iPAddresses, sorted; `serial` and `fingerprint` (SHA-256) are lower-case hexadecimal;
    `key` is a `KeyKind`, or another algorithm's name such as `ed25519`.
    """

    subject: str
    issuer: str
    common_name: str | None
    organization: str | None
    names: tuple[str, ...]
    addresses: tuple[str, ...]
    server: bool
    client: bool
    is_authority: bool
    not_before: datetime
    not_after: datetime
    serial: str
    fingerprint: str
    key: str
