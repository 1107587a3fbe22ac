"""The materials of a stack, decrypted when read and encrypted when written."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pgstead.engine.crypto import Cipher
from pgstead.engine.keys import KeyPlace, key_place
from pgstead.engine.state import State
from pgstead.errors import StateError


class Vault:
    """A stack's rows of materials and their key, which is looked for when it is needed."""

    def __init__(self, state: State, keys: KeyPlace | None = None) -> None:
        self.state = state
        self.keys = keys or key_place(state.stack_id)
        self._check: bytes | None = None
        self._cipher: Cipher | None = None

    def load(self) -> dict[str, bytes]:
        """All materials by name. Raises `StateError` for a lost or wrong key."""
        self._check = self.state.key_check()
        rows = self.state.materials()
        if self._check is None:
            return {}
        cipher = self._cipher = self.keys.find(self._check)
        return {name: cipher.decrypt(name, row) for name, row in rows.items()}

    def save(self, changed: Mapping[str, bytes], removed: Collection[str] = ()) -> None:
        """Write and remove materials, all or nothing, with the key that `load` found.

        The first save makes the key. Raises `StateError` if the key changed since `load`.
        """
        cipher = self._cipher or self.keys.find_or_make()
        rows = {name: cipher.encrypt(name, plain) for name, plain in changed.items()}
        check = self._check or cipher.make_check()
        self.state.put_materials(rows, removed, key_check=check, expected=self._check)
        self._cipher, self._check = cipher, check

    def rekey(self) -> str:
        """Encrypt everything with a new key; where that key is kept.

        Cut off before the rows are written, the old key stays right; after that the new
        one waits beside it and is put in its place when it is next looked for.
        """
        plain = self.load()
        if self._check is None:
            raise StateError(
                f"stack {self.state.stack!r} has no materials yet, and so no key to change",
                hint="`pgstead up` makes both",
            )
        expected, self._check = self._check, None
        self._cipher = self.keys.stage()
        rows = {name: self._cipher.encrypt(name, each) for name, each in plain.items()}
        self._check = self._cipher.make_check()
        self.state.put_materials(rows, key_check=self._check, expected=expected)
        self.keys.promote()
        return self.keys.described_next
