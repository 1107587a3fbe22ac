"""Rebuild a lost state from what is there: the machines, and an export of the materials.

What the state would say is worked out in a draft that lives in memory (`operations.drafting`);
nothing is written, and nothing on any machine is changed, before the user has agreed to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pgstead import spec
from pgstead.engine.export import check_empty, put_content, read_export, read_passphrase
from pgstead.engine.keys import passing_key
from pgstead.engine.lock import lock
from pgstead.engine.snapshot import take_snapshot
from pgstead.engine.state import default_url, draft, open_state
from pgstead.engine.vault import Vault
from pgstead.errors import StateError
from pgstead.operations.drafting import Adoption, Chosen, drafted, fill
from pgstead.operations.session import Session
from pgstead.platforms.base import Found

__all__ = ["Adoption", "Source", "adopt"]


@dataclass(frozen=True)
class Source:
    """Where materials come from: a file of `state export`, or nowhere.

    `stack_id` picks one of several stacks of one name.
    """

    export: Path | None = None
    passphrase_file: Path | None = None
    stack_id: str | None = None


def adopt(
    file: Path, source: Source, accept: Callable[[Adoption], bool], *, dry_run: bool = False
) -> Adoption:
    """Rebuild the state of a stack file's stack, if `accept` says so.

    Raises `StateError` where there is a state, or nothing to adopt, and `Refused` where
    materials would be lacking.
    """
    stack = spec.load(file)
    url = stack.state.url or default_url(file, stack.name)
    _check_lost(url, stack.name)
    content = _exported(stack.name, source)
    found = _choose(_look(stack, file), content, source.stack_id, file, stack.name)
    with drafted(file, stack, content, found) as session:
        made = fill(session, found, exported=content is not None)
        if dry_run or not accept(made):
            return made
        _write(url, session)
    return replace(made, written=True)


def _check_lost(url: str, name: str) -> None:
    """Raise `StateError` if there is a state: one that is there is never replaced."""
    state = open_state(url, name, create=False)
    try:
        check_empty(state)
    except StateError as error:
        raise StateError(
            error.message, hint="nothing is lost: `pgstead plan` shows what it says"
        ) from None
    finally:
        state.close()


def _exported(name: str, source: Source) -> Mapping[str, Any] | None:
    if source.export is None:
        return None
    passphrase = read_passphrase(source.passphrase_file)
    return read_export(source.export, name, passphrase=passphrase)


def _look(stack: spec.Stack, file: Path) -> tuple[Found, ...]:
    """What there is, of whichever id; the state to look with is a new one."""
    state = draft(stack.name)
    try:
        session = Session(file, stack, state, keys=passing_key(state.stack_id))
        return session.platform.found()
    finally:
        state.close()


def _choose(
    found: tuple[Found, ...],
    content: Mapping[str, Any] | None,
    wanted: str | None,
    file: Path,
    name: str,
) -> Chosen:
    """The one stack that is meant. Raises `StateError` where there is none, or several."""
    ids = sorted({one.stack_id for one in found if one.stack_id})
    exported = str(content["stack_id"]) if content else None
    if not found:
        raise StateError(
            f"nothing that is there belongs to a stack called {name!r}",
            hint=f"`pgstead up {file}` makes it; data that is kept is found again by it",
        )
    chosen = exported or wanted or (ids[0] if len(ids) == 1 else None)
    if chosen is None and ids:
        raise StateError(
            f"there are {len(ids)} stacks called {name!r}: {_told(found)}",
            hint="name the one to adopt: --id ID",
        )
    if ids and chosen not in ids:
        raise StateError(
            f"no machine is of the stack {name!r} with the id {chosen}: {_told(found)}",
            hint="give the export of that stack" if exported else "name one of these ids",
        )
    return Chosen(chosen, tuple(one for one in found if one.stack_id in ("", chosen)))


def _told(found: tuple[Found, ...]) -> str:
    by_id: dict[str, list[str]] = {}
    for one in found:
        by_id.setdefault(one.stack_id, []).append(one.machine)
    return "; ".join(f"{stack_id} has {', '.join(them)}" for stack_id, them in by_id.items())


def _write(url: str, session: Session) -> None:
    """Put the draft in the lost state's place. Raises `StateError` if there is one by now."""
    state = session.state
    state.end_apply(state.begin_apply("adopt"), "done", f"{len(state.recorded())} resources")
    content = take_snapshot(state, Vault(state, session.keys).load())
    target = open_state(url, state.stack, create=True)
    try:
        with lock(target, "adopt"):
            check_empty(target)
            put_content(target, content)
    finally:
        target.close()
