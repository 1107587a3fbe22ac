"""Certificates as modules ask for them: who signs, for how long, into which files."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Literal, cast

from pydantic import Field

from pgstead.certificates import Authority, CertificateRequest, KeyKind, KeyPair
from pgstead.errors import SpecError
from pgstead.machine import File, OnChange
from pgstead.membership import TlsClient
from pgstead.modules.base import Context
from pgstead.modules.parts.model import Hours, Model, Secret, reveal

__all__ = ["Issuing", "SigningAuthority", "issue", "lifetime_cautions", "operator", "tls_files"]

MONTH = 30 * 24
YEAR = 365 * 24
LONG = 10 * YEAR


class SigningAuthority(Model):
    """A certificate authority that the stack file brings along."""

    key: Secret = Field(description="Private key that signs, in PEM.")
    key_algorithm: str = Field(
        default="",
        description="Kind of the key, e.g. RSA or ECDSA; read from the key itself.",
    )
    certificate: str = Field(description="Certificate of the authority, in PEM.")


class Issuing(Model):
    """Variables of a module that has its certificates issued."""

    ca: str | SigningAuthority | None = Field(
        default=None,
        description=(
            "Authority that signs the certificates: the name of one of the stack's"
            " certificate_authorities, or {key, key_algorithm, certificate}."
        ),
    )
    organization: str = Field(
        default="pgstead", min_length=1, description="Organization in the certificates."
    )
    certificate_validity_period: Hours = Field(
        default=YEAR, description="How long a certificate is valid, in hours."
    )
    certificate_early_renewal_period: Hours | None = Field(
        default=None,
        description="How long before its end a certificate is renewed, in hours; 30 days.",
    )
    key_length: Literal[2048, 3072, 4096] | None = Field(
        default=None,
        description="Length of the RSA keys in bits; without one, keys are ECDSA P-256.",
    )

    @property
    def early_renewal(self) -> int:
        """How long before its end a certificate is renewed, in hours."""
        return self.certificate_early_renewal_period or MONTH


def issue(
    context: Context,
    variables: Issuing,
    what: str,
    *,
    common_name: str | None,
    hosts: Iterable[str] = (),
    server: bool = False,
    client: bool = False,
) -> KeyPair:
    """The certificate `<module>/<what>`, signed by the variables' authority.

    `hosts` are addresses and names alike. Raises `SpecError` for an unknown authority.
    """
    hosts = tuple(dict.fromkeys(hosts))
    request = CertificateRequest(
        name=f"{context.module}/{what}",
        authority=_authority(context, variables.ca),
        common_name=common_name,
        organization=variables.organization,
        addresses=tuple(host for host in hosts if _is_address(host)),
        names=tuple(host for host in hosts if not _is_address(host)),
        server=server,
        client=client,
        validity_hours=variables.certificate_validity_period,
        early_renewal_hours=variables.early_renewal,
        key=_key_kind(variables.key_length),
    )
    return context.materials.certificate(request)


def operator(context: Context, variables: Issuing) -> TlsClient:
    """The certificate with which pgstead itself reaches the servers of that authority.

    It has no common name: etcd would take one for its user.
    """
    name = _authority(context, variables.ca)
    pair = context.materials.certificate(
        CertificateRequest(
            name=f"{name}/operator",
            authority=name,
            common_name=None,
            organization="pgstead",
            server=False,
            client=True,
        )
    )
    return TlsClient(ca=pair.ca, certificate=pair.certificate, key=pair.key)


def tls_files(
    folder: str, texts: Mapping[str, str], *, owner: str, service: str | None
) -> tuple[File, ...]:
    """Files `name -> PEM` in that folder; whatever holds a private key is secret.

    A changed one takes a reload: all of these servers read certificates anew without a
    restart.
    """
    return tuple(
        File(
            path=f"{folder}/{name}",
            content=text if text.endswith("\n") else f"{text}\n",
            mode=0o644 if name.endswith(".crt") else 0o600,
            owner=owner,
            secret=not name.endswith(".crt"),
            on_change=OnChange.RELOAD,
            service=service,
        )
        for name, text in texts.items()
    )


def lifetime_cautions(variables: Issuing) -> tuple[str, ...]:
    """A warning about certificates that outlive any trust in their keys."""
    if variables.ca is None or variables.certificate_validity_period <= LONG:
        return ()
    years = variables.certificate_validity_period // YEAR
    return (
        (
            f"certificate_validity_period is {years} years: a stolen key stays good for as long."
            f" {YEAR} (one year) is enough, since `up` renews certificates without a restart."
        ),
    )


def _authority(context: Context, ca: str | SigningAuthority | None) -> str:
    if isinstance(ca, SigningAuthority):
        given = Authority(certificate=ca.certificate, key=reveal(ca.key))
        name = f"given-{sha256(ca.certificate.strip().encode()).hexdigest()[:12]}"
        context.materials.authority(name, given)
        return name
    if ca is None or ca not in context.authorities:
        raise SpecError(
            f"modules.{context.module}: there is no certificate authority {ca!r}",
            hint=f"Declare it: certificate_authorities: {{{ca}: {{}}}}",
        )
    context.materials.authority(ca, context.authorities[ca])
    return ca


def _key_kind(length: int | None) -> KeyKind:
    return "ecdsa-p256" if length is None else cast("KeyKind", f"rsa-{length}")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
