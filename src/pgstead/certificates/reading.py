"""Certificates read: what they say, whether they are due, whether they are what was asked."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pgstead.certificates.keys import key_kind
from pgstead.certificates.types import CertificateInfo, CertificateRequest
from pgstead.errors import SpecError


def load_certificate(pem: str, what: str = "certificate") -> x509.Certificate:
    """The first certificate in `pem`; `what` names it in the `SpecError` for one that is none."""
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        raise SpecError(
            f"the {what} is not a certificate in PEM",
            hint="it begins with a line `-----BEGIN CERTIFICATE-----`",
        ) from None


@lru_cache(maxsize=1024)  # a plan asks several times about each
def read(pem: str, what: str = "certificate") -> CertificateInfo:
    """What the first certificate in `pem` says. Raises `SpecError`, naming it as `what`."""
    found = load_certificate(pem, what)
    names, addresses = _alternative_names(found)
    usages = _usages(found)
    return CertificateInfo(
        subject=found.subject.rfc4514_string(),
        issuer=found.issuer.rfc4514_string(),
        common_name=_of_subject(found, NameOID.COMMON_NAME),
        organization=_of_subject(found, NameOID.ORGANIZATION_NAME),
        names=tuple(sorted(names)),
        addresses=tuple(sorted(addresses)),
        server=ExtendedKeyUsageOID.SERVER_AUTH in usages,
        client=ExtendedKeyUsageOID.CLIENT_AUTH in usages,
        is_authority=is_authority(found),
        not_before=found.not_valid_before_utc,
        not_after=found.not_valid_after_utc,
        serial=f"{found.serial_number:x}",
        fingerprint=found.fingerprint(hashes.SHA256()).hex(),
        key=key_kind(found.public_key()),
    )


def due(pem: str, early_renewal_hours: float, now: datetime) -> bool:
    """Whether the certificate ends within that many hours of `now` (which has a time zone)."""
    left = load_certificate(pem).not_valid_after_utc - now
    return left <= timedelta(hours=early_renewal_hours)


def matches(pem: str, request: CertificateRequest) -> bool:
    """Whether a certificate has the subject, names, usages and kind of key that are asked for.

    Its authority and its period are not looked at (`due`).
    """
    found = read(pem)
    addresses = {str(ip_address(each)) for each in request.addresses}
    return (
        (found.common_name, found.organization) == (request.common_name, request.organization)
        and set(found.addresses) == addresses
        and set(found.names) == addresses | set(request.names)
        and (found.server, found.client) == (request.server, request.client)
        and found.key == request.key
    )


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it may sign others."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        return False
    return constraints.value.ca


def _alternative_names(certificate: x509.Certificate) -> tuple[list[str], list[str]]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return [], []
    names = found.get_values_for_type(x509.DNSName)
    return names, [str(each) for each in found.get_values_for_type(x509.IPAddress)]


def _usages(certificate: x509.Certificate) -> frozenset[x509.ObjectIdentifier]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(found.value)


def _of_subject(certificate: x509.Certificate, what: x509.ObjectIdentifier) -> str | None:
    found = certificate.subject.get_attributes_for_oid(what)
    return str(found[0].value) if found else None
