"""What certificates of authorities and of servers have in common (RFC 5280, section 4)."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

from pgstead.errors import SpecError

TOLERANCE = timedelta(minutes=5)
"""How far a certificate starts in the past: clocks of other machines may be behind."""


def start_builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: CertificatePublicKeyTypes,
    now: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    """What every certificate has: it starts `TOLERANCE` before `now`."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - TOLERANCE)
        .not_valid_after(end)
    )


def subject_name(common_name: str | None, organization: str) -> x509.Name:
    """A subject; empty parts are left out. Raises `SpecError` for texts it cannot hold."""
    parts = [(NameOID.ORGANIZATION_NAME, organization), (NameOID.COMMON_NAME, common_name)]
    try:
        return x509.Name([x509.NameAttribute(oid, text) for oid, text in parts if text])
    except ValueError as error:
        raise SpecError(
            f"{common_name!r} of {organization!r} cannot stand in a certificate: {error}",
            hint="a common name and an organization have 64 characters at most",
        ) from error


def key_usage(*, signs: bool, enciphers: bool = False) -> x509.KeyUsage:
    """What the key may do: sign certificates, or sign (and encipher keys, with RSA)."""
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=enciphers,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def certificate_pem(certificate: x509.Certificate) -> str:
    """The certificate in PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
