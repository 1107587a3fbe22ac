"""Back up and bring back the state, give it a new key, take a stuck lock away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pgstead import spec
from pgstead.engine.lock import force_unlock, holder_of, is_free
from pgstead.engine.state import State, default_url, open_state
from pgstead.engine.vault import Vault
from pgstead.operations.session import open_session

if TYPE_CHECKING:
    from pgstead.engine.export import Imported


def export(file: Path, target: Path, passphrase_file: Path | None) -> None:
    """Write state and materials into `target`, encrypted. Raises `StateError`."""
    from pgstead.engine.export import export_state, read_passphrase  # noqa: PLC0415 - seldom

    with open_session(file, command="state export") as session:
        export_state(session.state, target, passphrase=read_passphrase(passphrase_file))


def restore(file: Path, source: Path, passphrase_file: Path | None, *, force: bool) -> Imported:
    """Put an exported state in place. Raises `StateError`, and then nothing was changed."""
    from pgstead.engine.export import import_state, read_passphrase  # noqa: PLC0415 - seldom

    with open_session(file, command="state import") as session:
        passphrase = read_passphrase(passphrase_file)
        return import_state(session.state, source, passphrase=passphrase, force=force)


def rekey(file: Path) -> str:
    """Encrypt the materials with a new key; gives where it is kept."""
    with open_session(file, command="state rekey") as session:
        session.must_exist()
        return Vault(session.state).rekey()


def unlock(file: Path, *, accept: Callable[[str], bool]) -> bool:
    """Take the lock away from a holder that is stuck; False if nobody held it."""
    state = _unlocked(file)
    try:
        holder = holder_of(state)
        if is_free(state) or not accept(str(holder or "an unknown holder")):
            return False
        force_unlock(state)
        return True
    finally:
        state.close()


def _unlocked(file: Path) -> State:
    stack = spec.load(file)
    return open_state(stack.state.url or default_url(file, stack.name), stack.name, create=False)
