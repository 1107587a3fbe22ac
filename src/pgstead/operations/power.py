"""Stop and start machines; data stays."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pgstead.clusters.groups import layers
from pgstead.operations.session import Session, open_session
from pgstead.operations.status import await_serving
from pgstead.operations.stopping import Tell, nobody, stoppable

Accept = Callable[[tuple[str, ...]], bool]


AGAIN = "run the same command again to go on; `pgstead status` shows what runs"


def stop(
    file: Path, machine: str | None, *, accept: Accept, tell: Tell = nobody
) -> tuple[str, ...]:
    """Stop one machine, or all of them: what takes connections first, etcd last.

    Gives the names of the machines that were stopped. Raises `Interrupted` on Ctrl-C, which
    `tell` says at once.
    """
    with open_session(file, command="stop") as session:
        session.must_exist()
        names = _named(session, machine)
        if not accept(names):
            return ()
        order = reversed(_layers(session, names))
        _stoppable(lambda: _in_order(session.platform.stop, order), names, tell)
        return names


def start(file: Path, machine: str | None, *, tell: Tell = nobody) -> tuple[str, ...]:
    """Start one machine, or all of them: etcd first. Gives their names.

    Returns once they serve as the stack's members do; in a stack of which a part stays
    stopped, as soon as they run. Raises `NotReady` if they do not come to serve, and
    `Interrupted` on Ctrl-C, which `tell` says at once.
    """
    with open_session(file, command="start") as session:
        session.must_exist()
        names = _named(session, machine)
        _stoppable(lambda: _started(session, names), names, tell)
        return names


def _stoppable(work: Callable[[], None], names: tuple[str, ...], tell: Tell) -> None:
    message = f"interrupted: of {', '.join(names)}, some may run and some not"
    stoppable(work, message=message, hint=AGAIN, tell=tell)


def _started(session: Session, names: tuple[str, ...]) -> None:
    _in_order(session.platform.start, _layers(session, names))
    await_serving(session, names)


def _named(session: Session, machine: str | None) -> tuple[str, ...]:
    if machine is not None:
        return (session.machine(machine).name,)
    return tuple(each.name for each in session.machines)


def _layers(session: Session, names: tuple[str, ...]) -> list[list[str]]:
    """Machines that may start together, in the order in which they need each other."""
    return layers(machine for machine in session.machines if machine.name in names)


def _in_order(act: Callable[[str], None], order: Iterable[list[str]]) -> None:
    for names in order:
        with ThreadPoolExecutor(len(names)) as pool:
            list(pool.map(act, names))
