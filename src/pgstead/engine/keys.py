"""Where the key of a stack's materials is found: the environment, or a file of the user's."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pgstead.engine.crypto import Cipher, key_text, new_key, parse_key
from pgstead.errors import StateError

KEY = "PGSTEAD_KEY"
NEW_KEY = "PGSTEAD_NEW_KEY"
KEY_FILE = "PGSTEAD_KEY_FILE"
NEW_KEY_FILE = "PGSTEAD_NEW_KEY_FILE"


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Where one stack's key is, or will be.

    `next_file` is where a new one waits until all rows are encrypted with it. `texts` are
    keys of the environment. `own` tells that the file is this stack's alone; a file that
    the user named may hold the key of other stacks too, and is never replaced.
    """

    stack_id: str
    file: Path
    next_file: Path | None
    texts: Mapping[str, str] = field(repr=False)
    own: bool

    def find(self, check: bytes) -> Cipher:
        """The cipher of the key that fits `check`.

        Raises `StateError` if there is no key or another one. Finishes a change of the
        key that was cut off after its rows were written.
        """
        candidates = self._candidates()
        for where, key in candidates.items():
            cipher = Cipher(key, self.stack_id)
            if cipher.fits(check):
                if where == str(self.next_file):
                    self.promote()
                return cipher
        raise self._wrong(list(candidates)) if candidates else self._lost()

    def find_or_make(self) -> Cipher:
        """For a stack without materials so far: its key, made and stored if there is none."""
        candidates = self._candidates()
        key = next(iter(candidates.values())) if candidates else _store(self.file, new_key())
        return Cipher(key, self.stack_id)

    def stage(self) -> Cipher:
        """A new key, stored beside the present one, or where the environment says."""
        if KEY in self.texts:
            if NEW_KEY not in self.texts:
                raise _yours_to_make(KEY, NEW_KEY, "32 random bytes in URL-safe base64")
            return Cipher(parse_key(self.texts[NEW_KEY], NEW_KEY), self.stack_id)
        if self.next_file is None:
            raise _yours_to_make(KEY_FILE, NEW_KEY_FILE, "a file's name; the key is made there")
        key = None if self.own else _read(self.next_file)
        key = key or _store(self.next_file, new_key(), replace=self.own)
        return Cipher(key, self.stack_id)

    def promote(self) -> None:
        """Put the stack's own staged key file in the present one's place."""
        if not self.own or self.next_file is None or KEY in self.texts:
            return
        try:
            self.next_file.replace(self.file)
            _sync_folder(self.file.parent)
        except OSError as error:
            raise _unusable(self.file, error) from error

    @property
    def described(self) -> str:
        """Where the key is, for a reader: the file, or the variable of the environment."""
        return KEY if KEY in self.texts else str(self.file)

    @property
    def described_next(self) -> str:
        """Where the key is once it was changed."""
        if KEY in self.texts:
            return NEW_KEY
        return str(self.file if self.own else self.next_file)

    def _candidates(self) -> dict[str, bytes]:
        if KEY in self.texts:
            return {name: parse_key(text, name) for name, text in self.texts.items()}
        files = [path for path in (self.file, self.next_file) if path]
        found = {str(path): _read(path) for path in files}
        return {where: key for where, key in found.items() if key is not None}

    def _wrong(self, where: list[str]) -> StateError:
        return StateError(
            f"the key in {where[0]} is not the one that the materials are encrypted with",
            hint=f"restore the key of stack id {self.stack_id}, or set {KEY}; nothing was changed",
        )

    def _lost(self) -> StateError:
        return StateError(
            f"the key of the materials is missing: {self.file}",
            hint=f"restore that file from a backup or from a colleague, or set {KEY}; "
            "nothing was changed",
        )


def key_place(stack_id: str, environment: Mapping[str, str] = os.environ) -> KeyPlace:
    """Where the stack's key is: `PGSTEAD_KEY`, `PGSTEAD_KEY_FILE`, or the user's own folder."""
    texts = {name: environment[name] for name in (KEY, NEW_KEY) if environment.get(name)}
    if named := environment.get(KEY_FILE):
        new = environment.get(NEW_KEY_FILE)
        return KeyPlace(stack_id, _path(named), _path(new) if new else None, texts, own=False)
    home = environment.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    file = Path(home) / "pgstead" / "keys" / f"{stack_id}.key"
    return KeyPlace(stack_id, file, file.with_name(f"{file.name}.new"), texts, own=True)


def passing_key(stack_id: str) -> KeyPlace:
    """A new key that is kept nowhere: for a state that is only being thought of."""
    texts = {KEY: key_text(new_key())}
    return KeyPlace(stack_id, Path(os.devnull), None, texts, own=False)


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _yours_to_make(present: str, new: str, what: str) -> StateError:
    return StateError(
        f"{present} says which key to use, so it says which one comes next, too",
        hint=f"put into {new}: {what}; after the change, use it in {present}'s place",
    )


def _read(path: Path) -> bytes | None:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise StateError(
                f"others may read the key file {path} (its mode is {mode:04o})",
                hint=f"chmod 600 {path}; if others could use this machine, change the key too: "
                "`pgstead state rekey`",
            )
        return parse_key(path.read_text(encoding="utf-8", errors="replace"), f"the file {path}")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, error) from error


def _store(path: Path, key: bytes, *, replace: bool = False) -> bytes:
    """Write a key whole or not at all, for its owner alone; never over one that is there."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".key-") as file:
            file.write(f"{key_text(key)}\n")
            file.flush()
            os.fsync(file.fileno())
            if replace:
                path.unlink(missing_ok=True)
            os.link(file.name, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise _unusable(path, error) from error
    return key


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _unusable(path: Path, error: OSError) -> StateError:
    return StateError(
        f"the key file {path} cannot be used: {error.strerror}",
        hint="see to its permissions and room, or name another with PGSTEAD_KEY_FILE",
    )
