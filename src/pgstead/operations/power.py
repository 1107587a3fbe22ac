"""Stop and start machines; data stays."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pgstead.membership import EtcdMember, LoadBalancer, PatroniMember, StandaloneServer
from pgstead.operations.session import Session, open_session
from pgstead.operations.status import await_serving

Accept = Callable[[tuple[str, ...]], bool]

ORDER = (EtcdMember, PatroniMember | StandaloneServer, LoadBalancer)
"""Who is started first; stopping runs the other way round."""


def stop(file: Path, machine: str | None, *, accept: Accept) -> tuple[str, ...]:
    """Stop one machine, or all of them: what takes connections first, etcd last.

    Gives the names of the machines that were stopped.
    """
    with open_session(file, command="stop") as session:
        session.must_exist()
        names = _named(session, machine)
        if not accept(names):
            return ()
        for layer in reversed(_layers(session, names)):
            _each(session.platform.stop, layer)
        return names


def start(file: Path, machine: str | None) -> tuple[str, ...]:
    """Start one machine, or all of them: etcd first. Gives their names.

    Returns once they serve as the stack's members do; in a stack of which a part stays
    stopped, as soon as they run. Raises `NotReady` if they do not come to serve.
    """
    with open_session(file, command="start") as session:
        session.must_exist()
        names = _named(session, machine)
        for layer in _layers(session, names):
            _each(session.platform.start, layer)
        await_serving(session, names)
        return names


def _named(session: Session, machine: str | None) -> tuple[str, ...]:
    if machine is not None:
        return (session.machine(machine).name,)
    return tuple(each.name for each in session.machines)


def _layers(session: Session, names: tuple[str, ...]) -> list[list[str]]:
    """Machines that may start together, in the order in which they need each other."""
    chosen = [machine for machine in session.machines if machine.name in names]
    layers = ([m.name for m in chosen if isinstance(m.membership, kind)] for kind in ORDER)
    return [layer for layer in layers if layer]


def _each(act: Callable[[str], None], names: list[str]) -> None:
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(act, names))
