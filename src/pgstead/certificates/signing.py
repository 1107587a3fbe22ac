"""Certificates issued by an authority; the extensions follow RFC 5280, section 4.2."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from pgstead.certificates.building import (
    certificate_pem,
    key_usage,
    start_builder,
    subject_name,
)
from pgstead.certificates.keys import PrivateKey, key_pem, load_key, make_key, signature_hash
from pgstead.certificates.reading import load_certificate
from pgstead.certificates.types import Authority, CertificateRequest, KeyPair
from pgstead.errors import SpecError


def end_of(request: CertificateRequest, authority: Authority, now: datetime) -> datetime:
    """When a certificate issued now ends: as asked, but never after its authority does."""
    asked = now.replace(microsecond=0) + timedelta(hours=request.validity_hours)
    return min(asked, _signer(request, authority).not_valid_after_utc)


def issue(request: CertificateRequest, authority: Authority, *, now: datetime) -> KeyPair:
    """A new key and a certificate for it, signed by the authority.

    It starts `TOLERANCE` before `now` and ends as `end_of` says. Raises `SpecError` for
    an authority that has no key, has ended or has not begun, and for impossible names.
    """
    signer = _signer(request, authority)
    _check_period(request, signer, now)
    by = _signing_key(request, authority)
    private = make_key(request.key)
    builder = start_builder(
        subject_name(request.common_name, request.organization),
        signer.subject,
        private.public_key(),
        now,
        end_of(request, authority, now),
    )
    builder = _extended(builder, request, private)
    builder = builder.add_extension(_authority_identifier(signer, by), critical=False)
    certificate = builder.sign(by, signature_hash(by))
    return KeyPair(certificate_pem(certificate), key_pem(private), authority.certificate)


def _extended(
    builder: x509.CertificateBuilder,
    request: CertificateRequest,
    private: PrivateKey,
) -> x509.CertificateBuilder:
    public = private.public_key()
    enciphers = isinstance(private, rsa.RSAPrivateKey)
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(signs=False, enciphers=enciphers), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    if usages := _extended_usages(request):
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    if names := _alternative_names(request):
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder


def _alternative_names(request: CertificateRequest) -> list[x509.GeneralName]:
    addresses = dict.fromkeys(_address(request, each) for each in request.addresses)
    texts = dict.fromkeys([*request.names, *map(str, addresses)])
    try:
        names = [x509.DNSName(text) for text in texts]
    except ValueError as error:
        raise SpecError(
            f"a name of certificate {request.name!r} is not a DNS name: {error}",
            hint="write international names in their ASCII form (xn--...)",
        ) from error
    return [*names, *map(x509.IPAddress, addresses)]


def _address(request: CertificateRequest, text: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text)
    except ValueError:
        raise SpecError(
            f"{text!r} in certificate {request.name!r} is not an IP address",
            hint="give host names as names",
        ) from None


def _extended_usages(request: CertificateRequest) -> list[x509.ObjectIdentifier]:
    wanted = {
        ExtendedKeyUsageOID.SERVER_AUTH: request.server,
        ExtendedKeyUsageOID.CLIENT_AUTH: request.client,
    }
    return [usage for usage, asked in wanted.items() if asked]


@lru_cache(maxsize=64)
def _load_signer(pem: str, name: str) -> x509.Certificate:
    return load_certificate(pem, f"certificate of certificate authority {name!r}")


def _signer(request: CertificateRequest, authority: Authority) -> x509.Certificate:
    return _load_signer(authority.certificate, request.authority)


def _signing_key(request: CertificateRequest, authority: Authority) -> PrivateKey:
    if authority.key is None:
        raise SpecError(
            f"certificate authority {request.authority!r} has no key to sign {request.name!r}",
            hint="give its `key`, or let pgstead generate an authority",
        )
    return load_key(authority.key, f"key of certificate authority {request.authority!r}")


def _check_period(request: CertificateRequest, signer: x509.Certificate, now: datetime) -> None:
    if signer.not_valid_before_utc > now:
        raise SpecError(
            f"certificate authority {request.authority!r} is valid only from "
            f"{signer.not_valid_before_utc:%Y-%m-%d %H:%M} UTC",
            hint="check this machine's clock",
        )
    if signer.not_valid_after_utc <= now:
        raise SpecError(
            f"certificate authority {request.authority!r} ended at "
            f"{signer.not_valid_after_utc:%Y-%m-%d %H:%M} UTC",
            hint="give a newer certificate for it",
        )


def _authority_identifier(signer: x509.Certificate, by: PrivateKey) -> x509.AuthorityKeyIdentifier:
    try:
        subject = signer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(subject)
