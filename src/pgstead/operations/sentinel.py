"""The sentinel of a stack: watched with from here, or carried by a machine of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pgstead.engine.lock import holder_of, is_free, lock
from pgstead.errors import Interrupted, PlatformError, SpecError, StateError
from pgstead.operations.stopping import Tell, nobody, stoppable
from pgstead.platforms.base import Tells
from pgstead.sentinel import service
from pgstead.sentinel.events import Event, Log, parse
from pgstead.sentinel.holding import FileHold, held

if TYPE_CHECKING:
    from pgstead.engine.state import State
    from pgstead.machine import Machine
    from pgstead.operations.session import Session
    from pgstead.platforms.base import Platform, Power
    from pgstead.platforms.local import LocalPlatform

T = TypeVar("T")

SPARED = "drill"
"""The command that breaks things for a sentinel to see; it holds its own steps by itself."""


def machines(session: Session) -> tuple[Machine, ...]:
    """The machines that carry the stack's sentinels: on the local platform alone.

    None where the servers' user may not read pgstead's own files.
    """
    if session.stack.platform.kind != "local" or not session.stack.sentinel.enabled:
        return ()
    from pgstead.clusters.groups import group  # noqa: PLC0415 - start-up time
    from pgstead.sentinel.target import targets  # noqa: PLC0415 - as above

    found = targets(group(session.blueprint.machines))
    platform = _local(session)
    if not found or platform.account.barrier(Path(service.__file__)) is not None:
        return ()
    root = platform.places.root
    program = int(Path(service.__file__).stat().st_mtime)
    stage = service.Stage(str(root.parent), session.stack.name, session.state.stack_id, program)
    return tuple(
        service.machine(one, stage, _name(one.scope, alone=len(found) == 1)) for one in found
    )


def _name(scope: str, *, alone: bool) -> str:
    return service.NAME if alone else f"{service.NAME}-{scope}"


def _local(session: Session) -> LocalPlatform:
    from pgstead.platforms.local import LocalPlatform  # noqa: PLC0415 - start-up time

    assert isinstance(session.platform, LocalPlatform)  # noqa: S101 - `kind` says so
    return session.platform


@contextmanager
def standing_still(session: Session, command: str) -> Iterator[None]:
    """Keep the stack's sentinels from acting while the context lasts.

    Raises `NotReady` if a step that one is at does not end.
    """
    with ExitStack() as holding:
        holding.enter_context(held(_hold(session), command))
        if session.stack.platform.kind == "local":
            with suppress(PlatformError):  # without its user there are no machines
                platform = _local(session)
                for place in platform.places.machines.glob(f"{service.NAME}*/{service.HOLD[1:]}"):
                    holding.enter_context(held(place, command, platform.account.acting))
        yield


def unit(session: Session) -> str:
    """A systemd unit that watches the stack from here."""
    from pgstead.sentinel import unit as template  # noqa: PLC0415 - seldom

    return template.text(session.stack.name, session.file)


def _hold(session: Session) -> Path:
    return session.client_folder / "sentinel.hold"


def _log(session: Session) -> Path:
    return session.client_folder / "sentinel.jsonl"


def watch(session: Session, *, tell: Tell = nobody) -> None:
    """Watch the stack's cluster from here until Ctrl-C or SIGTERM.

    Raises `SpecError` if there is no cluster that can be watched, or more than one.
    """
    from pgstead.clusters.groups import group  # noqa: PLC0415 - start-up time
    from pgstead.sentinel.target import targets  # noqa: PLC0415 - as above
    from pgstead.sentinel.watching import Post, watch  # noqa: PLC0415 - as above

    session.must_exist()
    found = targets(group(session.machines))
    if len(found) != 1:
        raise SpecError(
            f"a sentinel watches one Patroni cluster of several members, and the stack has"
            f" {len(found)} with an etcd user {service.NAME!r}",
            hint="see docs/sentinel.md: a cluster has it unless `sentinel: {enabled: false}`",
        )
    hold = StateHold(session.state, FileHold(_hold(session)))
    ground = FreshGround(lambda: _platform(session))
    post = Post(found[0], ground, hold, Log(_log(session)))
    with suppress(Interrupted):
        stoppable(lambda: watch(post), message="the sentinel ends", hint="", tell=tell)


def _platform(session: Session) -> Platform:
    from pgstead.operations import platforms  # noqa: PLC0415 - a cycle

    state, materials = session.state, session.materials
    return platforms.make(
        session.stack,
        state.stack_id,
        session.file,
        recorded=state.recorded,
        secret=materials.password,
    )


@dataclass(slots=True)
class FreshGround:
    """A platform for a long time: one that could not do something is made anew.

    Platforms are made for a command, which does not ask a host again that was down.
    """

    make: Callable[[], Platform]
    _made: Platform | None = field(default=None, init=False)

    def power(self, machine: str) -> Power:
        """Whether it is on, and which boot of it."""
        return self._ask(lambda platform: platform.power(machine))

    def power_off(self, machine: str, boot: str) -> None:
        """Power that boot off and verify it."""
        self._ask(lambda platform: platform.power_off(machine, boot))

    def start(self, machine: str) -> None:
        """Start all services of a machine."""
        self._ask(lambda platform: platform.start(machine))

    @contextmanager
    def watch(self, machines: Collection[str], changed: Callable[[], None]) -> Iterator[None]:
        """Have a platform of its own tell of changes, where it is one that does."""
        platform = self.make()
        with platform.watch(machines, changed) if isinstance(platform, Tells) else nullcontext():
            yield

    def _ask(self, ask: Callable[[Platform], T]) -> T:
        platform = self._made = self._made or self.make()
        try:
            return ask(platform)
        except PlatformError:
            self._made = None
            raise


@dataclass(frozen=True, slots=True)
class StateHold:
    """The stack's lock, which may be held from other hosts, and the file beside the stack file."""

    state: State
    file: FileHold

    def holder(self) -> str:
        """Who works on the stack; a drill does not count, but for the steps that it holds."""
        return self.file.holder() or self._locked()

    def _locked(self) -> str:
        if is_free(self.state):
            return ""
        holder = holder_of(self.state)
        return "" if holder and holder.command == SPARED else str(holder or "another command")

    @contextmanager
    def taken(self) -> Iterator[bool]:
        """Hold both, unless a command has one of them."""
        with ExitStack() as holding:
            free = holding.enter_context(self.file.taken()) and not self._locked()
            if free and is_free(self.state):
                try:
                    holding.enter_context(lock(self.state, service.NAME))
                except StateError:
                    free = False
            yield free


def events(session: Session, last: int) -> tuple[Event, ...]:
    """The last events of the stack's sentinels, the oldest first."""
    texts = [_text(_log(session))]
    for one in session.machines:
        if one.name.startswith(service.NAME):
            with suppress(PlatformError):
                texts.append(session.platform.reach(one.name).read(service.EVENTS) or "")
    found = [event for text in texts for event in parse(text.splitlines())]
    return tuple(sorted(found, key=lambda event: event.at)[-last:])


def _text(file: Path) -> str:
    with suppress(OSError):
        return file.read_text(encoding="utf-8")
    return ""
