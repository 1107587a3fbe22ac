"""SCRAM-SHA-256 verifiers, as PostgreSQL keeps them (RFC 5802, RFC 7677)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass

from pgstead.errors import ClientError

_VERIFIER = re.compile(
    r"^SCRAM-SHA-256\$(?P<iterations>\d+):(?P<salt>[^$]+)\$(?P<stored>[^:]+):(?P<server>.+)$"
)


@dataclass(frozen=True, slots=True)
class Verifier:
    """What a server keeps of a password; enough to check one, not to log in."""

    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes

    def matches(self, password: str) -> bool:
        """Whether it was made from that password."""
        salted = _salted(password, self.salt, self.iterations)
        return hmac.compare_digest(_stored_key(salted), self.stored_key)

    def __str__(self) -> str:
        """As it stands in pg_authid.rolpassword."""
        salt, stored, server = map(_text, (self.salt, self.stored_key, self.server_key))
        return f"SCRAM-SHA-256${self.iterations}:{salt}${stored}:{server}"


def parse(text: str) -> Verifier | None:
    """The verifier in pg_authid.rolpassword; None for md5 and anything else."""
    found = _VERIFIER.match(text)
    if found is None:
        return None
    try:
        parts = [
            base64.b64decode(found[key], validate=True) for key in ("salt", "stored", "server")
        ]
    except binascii.Error:
        return None
    return Verifier(int(found["iterations"]), *parts)


def make(password: str, salt: bytes, iterations: int = 4096) -> Verifier:
    """A verifier of a password, so that the password itself need not be sent.

    Raises `ClientError` for one that is not ASCII: what a server makes of others depends
    on how it prepares them.
    """
    if not password.isascii():
        raise ClientError(
            "a password holds characters that are not ASCII",
            hint="use letters, digits and punctuation of ASCII",
        )
    salted = _salted(password, salt, iterations)
    server = hmac.digest(salted, b"Server Key", "sha256")
    return Verifier(iterations, salt, _stored_key(salted), server)


def _salted(password: str, salt: bytes, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)


def _stored_key(salted: bytes) -> bytes:
    return hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
