"""Whether a kept certificate will still do, or a new one is issued."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from pgstead.certificates import Authority, CertificateRequest, due, end_of, issue, matches, read

_WORTHWHILE = timedelta(hours=1)
"""A renewal that gains less is none: the authority's own end is near."""


def kept_or_issued(
    kept: dict[str, Any] | None, request: CertificateRequest, authority: Authority, now: datetime
) -> dict[str, Any]:
    """The kept row, or a new one if the request or the authority changed, or the end is near."""
    if kept is not None and _fits(kept, request, authority):
        if not _is_due(kept["certificate"], request, now):
            return kept
        gained = end_of(request, authority, now) - read(kept["certificate"]).not_after
        if gained < _WORTHWHILE:
            return kept
    pair = issue(request, authority, now=now)
    return {
        "certificate": pair.certificate,
        "key": pair.key,
        "ca": pair.ca,
        "hours": request.validity_hours,
    }


def caution(certificate: str, request: CertificateRequest, authority: Authority) -> str | None:
    """A warning if a certificate lives shorter than asked for, since its authority ends."""
    end = read(certificate).not_after
    if end < read(authority.certificate).not_after:
        return None
    return (
        f"certificate authority {request.authority!r} ends at {end:%Y-%m-%d %H:%M} UTC, and the "
        "certificates under it with it: give it a new certificate before that"
    )


def _fits(kept: dict[str, Any], request: CertificateRequest, authority: Authority) -> bool:
    return (
        kept["ca"] == authority.certificate
        and kept["hours"] == request.validity_hours
        and matches(kept["certificate"], request)
    )


def _is_due(certificate: str, request: CertificateRequest, now: datetime) -> bool:
    # A period shorter than its early renewal would otherwise be renewed by every `up`.
    early = min(request.early_renewal_hours, request.validity_hours / 2)
    return due(certificate, early, now)
