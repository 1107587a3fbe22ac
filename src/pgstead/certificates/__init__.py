"""Certificate authorities and certificates, on `cryptography`."""

from pgstead.certificates.authorities import check_authority, make_authority
from pgstead.certificates.reading import due, matches, read
from pgstead.certificates.signing import end_of, issue
from pgstead.certificates.types import (
    Authority,
    CertificateInfo,
    CertificateRequest,
    KeyKind,
    KeyPair,
)

__all__ = [
    "Authority",
    "CertificateInfo",
    "CertificateRequest",
    "KeyKind",
    "KeyPair",
    "check_authority",
    "due",
    "end_of",
    "issue",
    "make_authority",
    "matches",
    "read",
]
