"""A stack's state in one encrypted file: resources, materials and history.

The file is JSON. Its header says how the key of the rest is derived, and is bound to the
rest as associated data: neither can be changed without the other being refused.
"""

from __future__ import annotations

import base64
import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from pgstead.engine.crypto import KEY_BYTES, Cipher
from pgstead.engine.keys import KeyPlace, key_place
from pgstead.engine.snapshot import restore_rows, take_snapshot
from pgstead.engine.state import State
from pgstead.engine.vault import Vault
from pgstead.errors import StateError

FORMAT = "pgstead state"
VERSION = 1
PASSPHRASE = "PGSTEAD_PASSPHRASE"  # noqa: S105 - the variable's name
SHORTEST_PASSPHRASE = 8

_SCRYPT = {"n": 2**16, "r": 8, "p": 1}
"""64 MB and about 0.2 s a guess (RFC 7914)."""

_LARGEST = {"n": 2**20, "r": 16, "p": 4}
"""A header that asks for more is refused: it would take all memory."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import brought."""

    stack_id: str
    resources: int
    materials: int
    key: str


def read_passphrase(file: Path | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """The passphrase of a file, else of `PGSTEAD_PASSPHRASE`; None if there is neither.

    A line's end after it does not count. Raises `StateError` for one that is too short.
    """
    if file is None and not environment.get(PASSPHRASE):
        return None
    try:
        text = file.read_text(encoding="utf-8") if file else environment[PASSPHRASE]
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(
            f"the passphrase file {file} cannot be read: {error}",
            hint="name a text file that this user may read",
        ) from error
    passphrase = text.rstrip("\r\n")
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise StateError(
            f"the passphrase is shorter than {SHORTEST_PASSPHRASE} characters",
            hint="take a longer one: it protects every key and password of the stack",
        )
    return passphrase


def export_state(
    state: State, target: Path, *, passphrase: str | None = None, keys: KeyPlace | None = None
) -> None:
    """Write the state to `target`, a new file for its owner alone.

    Encrypted with the passphrase, or without one with the stack's own key, which is then
    needed to import it. The lock should be held. Raises `StateError`.
    """
    vault = Vault(state, keys)
    content = take_snapshot(state, vault.load())
    header: dict[str, Any] = {"format": FORMAT, "version": VERSION, "stack": state.stack_id}
    if passphrase is not None:
        header["scrypt"] = _SCRYPT | {"salt": base64.b64encode(os.urandom(16)).decode()}
        cipher = _derive(header, passphrase)
    else:
        header["key_check"] = base64.b64encode(_own_check(state)).decode()
        cipher = vault.keys.find(_own_check(state))
    body = cipher.encrypt(_bound(header), json.dumps(content).encode())
    _write_new(target, json.dumps(header | {"body": base64.b64encode(body).decode()}))


def import_state(
    state: State,
    source: Path,
    *,
    passphrase: str | None = None,
    force: bool = False,
    keys: KeyPlace | None = None,
) -> Imported:
    """Put an exported state in the place of `state`, all or nothing; then open it anew.

    The materials are encrypted with the key that belongs to the exported stack, which is
    made if there is none. Raises `StateError` if the file is damaged, of another stack, or
    cannot be decrypted, and, without `force`, if `state` holds anything.
    """
    state.check_writable()
    check_empty(state, force=force)
    content = read_export(source, state.stack, passphrase=passphrase, keys=keys)
    return put_content(state, content, keys)


def read_export(
    source: Path, stack: str, *, passphrase: str | None = None, keys: KeyPlace | None = None
) -> dict[str, Any]:
    """What an exported state of that stack holds, as `engine.snapshot.take_snapshot` gave it.

    Raises `StateError` if the file is damaged, of another stack, or cannot be decrypted.
    """
    header, body = _read(source)
    cipher = _cipher(header, passphrase, keys or key_place(header["stack"]), source)
    try:
        content: dict[str, Any] = json.loads(cipher.decrypt(_bound(header), body))
    except StateError:
        raise StateError(
            f"{source} cannot be decrypted: another passphrase, or the file is damaged",
            hint="give the passphrase it was exported with",
        ) from None
    _check_stack(stack, content["stack"], source)
    return content


def put_content(state: State, content: Mapping[str, Any], keys: KeyPlace | None = None) -> Imported:
    """Put such a content in the place of `state`, all or nothing; then open it anew."""
    place = keys or key_place(content["stack_id"])
    own = place.find_or_make()
    plain = {name: base64.b64decode(text) for name, text in content["materials"].items()}
    rows = {name: own.encrypt(name, each) for name, each in plain.items()}
    restore_rows(state, content, rows, own.make_check() if rows else None)
    return Imported(content["stack_id"], len(content["resources"]), len(rows), place.described)


def _own_check(state: State) -> bytes:
    check = state.key_check()
    if check is None:
        raise StateError(
            f"stack {state.stack!r} has no materials yet, and so no key to export it with",
            hint=f"give a passphrase, in a file or in {PASSPHRASE}",
        )
    return check


def _cipher(
    header: dict[str, Any], passphrase: str | None, place: KeyPlace, source: Path
) -> Cipher:
    if "scrypt" not in header:
        return place.find(base64.b64decode(header["key_check"]))
    if passphrase is None:
        raise StateError(
            f"{source} was exported with a passphrase",
            hint=f"give it in a file or in {PASSPHRASE}",
        )
    return _derive(header, passphrase)


def _derive(header: dict[str, Any], passphrase: str) -> Cipher:
    given = header["scrypt"]
    salt = base64.b64decode(given["salt"])
    kdf = Scrypt(salt=salt, length=KEY_BYTES, n=given["n"], r=given["r"], p=given["p"])
    return Cipher(kdf.derive(passphrase.encode()), header["stack"])


def _bound(header: dict[str, Any]) -> str:
    return "export " + json.dumps(header, sort_keys=True)


def _read(source: Path) -> tuple[dict[str, Any], bytes]:
    try:
        header = json.loads(source.read_text(encoding="utf-8"))
        body = base64.b64decode(header.pop("body"))
        sound = _is_sound(header)
    except OSError as error:
        raise StateError(f"{source} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError):
        sound = False
    if not sound:
        raise StateError(
            f"{source} is no exported state, or is damaged",
            hint="name a file that `pgstead state export` wrote",
        )
    if header["version"] > VERSION:
        raise StateError(
            f"{source} was exported by a newer pgstead (format {header['version']})",
            hint="upgrade pgstead",
        )
    return header, body


def _is_sound(header: dict[str, Any]) -> bool:
    """Whether the header is ours and harmless: its stack id becomes part of a file's name."""
    costs = header.get("scrypt")
    return (
        header["format"] == FORMAT
        and isinstance(header["version"], int)
        and re.fullmatch("[0-9a-f]{8}", header["stack"]) is not None
        and (costs is None or all(0 < costs[name] <= most for name, most in _LARGEST.items()))
    )


def check_empty(state: State, *, force: bool = False) -> None:
    """Raise `StateError` if `state` holds anything, unless it may be replaced."""
    if force or not (state.recorded() or state.materials()):
        return
    raise StateError(
        f"stack {state.stack!r} has a state already, in {state.database.where}",
        hint="export that one first, then import with --force, which replaces it",
    )


def _check_stack(stack: str, exported: str, source: Path) -> None:
    if exported != stack:
        raise StateError(
            f"{source} is the state of stack {exported!r}, not of {stack!r}",
            hint="use the stack file of that stack",
        )


def _write_new(target: Path, text: str) -> None:
    """Write a file whole or not at all, never over another."""
    try:
        with tempfile.NamedTemporaryFile("w", dir=target.parent, prefix=".export-") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            os.link(file.name, target)
    except FileExistsError as error:
        raise StateError(
            f"{target} is there already", hint="name another file, or move that one away"
        ) from error
    except OSError as error:
        raise StateError(
            f"{target} cannot be written: {error.strerror}",
            hint="see to the folder's permissions and room",
        ) from error
