"""Certificate authorities: made, or a user's own checked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from pgstead.certificates.building import (
    certificate_pem,
    key_usage,
    start_builder,
    subject_name,
)
from pgstead.certificates.keys import key_pem, load_key, make_key, signature_hash
from pgstead.certificates.reading import is_authority, load_certificate
from pgstead.certificates.types import Authority, KeyKind
from pgstead.errors import SpecError

VALIDITY_HOURS = 10 * 365 * 24
"""An authority's default period: its end is the end of every certificate under it."""


def make_authority(
    name: str,
    organization: str,
    *,
    key: KeyKind = "ecdsa-p256",
    validity_hours: int = VALIDITY_HOURS,
    now: datetime | None = None,
) -> Authority:
    """A new self-signed authority named `name` that signs certificates, but no authorities."""
    now = now or datetime.now(UTC)
    private = make_key(key)
    public = private.public_key()
    subject = subject_name(name, organization)
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    builder = start_builder(subject, subject, public, now, now + timedelta(hours=validity_hours))
    certificate = (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(signs=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(private, signature_hash(private))
    )
    return Authority(certificate=certificate_pem(certificate), key=key_pem(private))


def check_authority(name: str, authority: Authority) -> None:
    """See that a user's authority is one, and that its key belongs to its certificate.

    Raises `SpecError`, naming the authority.
    """
    what = f"certificate authority {name!r}"
    certificate = load_certificate(authority.certificate, f"certificate of {what}")
    if not is_authority(certificate):
        raise SpecError(
            f"the certificate of {what} is not that of an authority",
            hint="it needs the basic constraint CA:TRUE to sign certificates",
        )
    if authority.key is None:
        return
    private = load_key(authority.key, f"key of {what}")
    if _public_bytes(private.public_key()) != _public_bytes(certificate.public_key()):
        raise SpecError(
            f"the key of {what} does not belong to its certificate",
            hint="give the private key that the certificate was made with",
        )


def _public_bytes(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
