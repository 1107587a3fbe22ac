"""Materials at rest: AES-256-GCM, each row bound to its stack and its name.

The row's name is associated data, so that no row can be put in another's place.
"""

from __future__ import annotations

import base64
import binascii
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pgstead.errors import StateError

KEY_BYTES = 32
_NONCE_BYTES = 12
_FORMAT = b"\x01"
_CHECK = "key check"


class Cipher:
    """Encrypts and decrypts the materials of one stack with one key."""

    def __init__(self, key: bytes, stack_id: str) -> None:
        self._aead = AESGCM(key)
        self._stack_id = stack_id

    def encrypt(self, name: str, plain: bytes) -> bytes:
        """Ciphertext that only `decrypt` of the same name gives back."""
        nonce = os.urandom(_NONCE_BYTES)
        return _FORMAT + nonce + self._aead.encrypt(nonce, plain, self._bound_to(name))

    def decrypt(self, name: str, ciphertext: bytes) -> bytes:
        """Raises `StateError` for a damaged row, and for one of another name or key."""
        start = len(_FORMAT) + _NONCE_BYTES
        nonce, body = ciphertext[len(_FORMAT) : start], ciphertext[start:]
        if not ciphertext.startswith(_FORMAT) or len(nonce) < _NONCE_BYTES:
            raise _damaged(name)
        try:
            return self._aead.decrypt(nonce, body, self._bound_to(name))
        except InvalidTag:
            raise _damaged(name) from None

    def make_check(self) -> bytes:
        """A value by which `fits` tells this key from others."""
        return self.encrypt(_CHECK, b"")

    def fits(self, check: bytes) -> bool:
        """Whether `check` was made with this key, for this stack."""
        try:
            self.decrypt(_CHECK, check)
        except StateError:
            return False
        return True

    def _bound_to(self, name: str) -> bytes:
        return f"{self._stack_id}/{name}".encode()


def new_key() -> bytes:
    """A key from the operating system's random source."""
    return os.urandom(KEY_BYTES)


def key_text(key: bytes) -> str:
    """A key as text: URL-safe base64."""
    return base64.urlsafe_b64encode(key).decode()


def parse_key(text: str, where: str) -> bytes:
    """A key from its text. Raises `StateError` that names `where` it stands, not the text."""
    try:
        key = base64.b64decode(text.strip().encode(), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise StateError(
            f"{where} holds no key",
            hint=f"a key is {KEY_BYTES} bytes in URL-safe base64, {len(key_text(bytes(32)))} "
            "characters; restore the right one",
        )
    return key


def _damaged(name: str) -> StateError:
    return StateError(
        f"material {name!r} cannot be decrypted: its row is damaged, or is not its own",
        hint="restore the state from a backup or with `pgstead state import`",
    )
