"""Module outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pgstead.errors import SpecError
from pgstead.operations.session import open_session
from pgstead.spec.nearest import nearest

HIDDEN = "(secret)"


def output(file: Path, name: str | None, *, show_secrets: bool) -> dict[str, Any]:
    """Outputs by `MODULE.OUTPUT`; a secret one is shown when named, or when asked for.

    An empty one, of what a module does not have, is given only when named. Raises `SpecError`
    for a name that no module has, `StateError` if the stack is not up: its addresses and
    passwords are made then.
    """
    with open_session(file) as session:
        session.must_exist()
        found = {
            f"{module}.{key}": value
            for module, values in session.blueprint.outputs.items()
            for key, value in values.items()
        }
    if name is None:
        return {
            key: HIDDEN if value.secret and not show_secrets else value.value
            for key, value in found.items()
            if value.value != ""
        }
    full = [key for key in found if name in (key, key.rpartition(".")[2])]
    if len(full) != 1:
        close = nearest(name, found)
        raise SpecError(
            f"no output is called {name}" if not full else f"{name} is ambiguous",
            hint=f"did you mean {close}?" if close else "`pgstead output` lists them",
        )
    return {name: found[full[0]].value}
