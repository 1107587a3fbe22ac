"""SSH keys that follow from one secret of the stack: the same at every run, without storing any.

An ed25519 key is any 32 bytes; HKDF makes them from the secret and the key's use.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from pgstead import redaction

MATERIAL = "ssh-keys"
"""The name of the secret that all keys follow from."""

_KIND = b"ssh-ed25519"


@dataclass(frozen=True, slots=True)
class SshKey:
    """A private key in OpenSSH's format, and the public one as a line."""

    private: str = field(repr=False)
    public: str


@dataclass(frozen=True)
class Keys:
    """The stack's SSH keys; `secret` gives the secret of that name."""

    secret: Callable[[str], str]

    def ask(self) -> None:
        """Have the secret made, and kept before the first machine knows a key."""
        self.secret(MATERIAL)

    def admin(self) -> SshKey:
        """The key that pgstead logs in with."""
        return derived(self.secret(MATERIAL), "admin")

    def host(self, machine: str) -> SshKey:
        """The key by which a machine proves that it is itself."""
        return derived(self.secret(MATERIAL), f"host {machine}")


def derived(secret: str, use: str) -> SshKey:
    """The ed25519 key for that use."""
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415 - slow
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - slow
        Ed25519PrivateKey,
    )
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415 - slow

    hkdf = HKDF(hashes.SHA256(), length=36, salt=b"pgstead ssh", info=use.encode())
    found = hkdf.derive(secret.encode())
    seed, check = found[:32], found[32:]
    raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(*raw)
    blob = _text(_KIND) + _text(public)
    line = f"ssh-ed25519 {base64.b64encode(blob).decode()} pgstead"
    private = _private(seed, public, blob, check)
    # Line by line: within other texts, its lines may be indented.
    redaction.remember([private, *private.splitlines()[1:-1]])
    return SshKey(private, line)


def _private(seed: bytes, public: bytes, blob: bytes, check: bytes) -> str:
    """OpenSSH's format of a private key without a passphrase (its PROTOCOL.key).

    `check` is random there, and here as fixed as the key: the same key, the same text.
    """
    inner = check * 2 + _text(_KIND) + _text(public) + _text(seed + public) + _text(b"pgstead")
    padding = bytes(range(1, 1 + -len(inner) % 8))
    outer = (
        b"openssh-key-v1\x00"
        + _text(b"none") * 2
        + _text(b"")
        + struct.pack(">I", 1)
        + _text(blob)
        + _text(inner + padding)
    )
    lines = base64.b64encode(outer).decode()
    body = "\n".join(lines[start : start + 70] for start in range(0, len(lines), 70))
    return "-----BEGIN OPENSSH PRIVATE KEY-----\n" + body + "\n-----END OPENSSH PRIVATE KEY-----\n"


def _text(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value
