"""Everything that an operation works with, opened for one stack file: the main line, in code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pgstead import redaction, spec
from pgstead.clusters import lowering
from pgstead.engine.lock import check_held, kind_of, lock
from pgstead.engine.materials import StoredMaterials
from pgstead.engine.state import default_url, open_state
from pgstead.engine.vault import Vault
from pgstead.errors import ClientError, PgsteadError, PlatformError, SpecError, StateError
from pgstead.modules.base import Context, Facts
from pgstead.operations import addresses, platforms, sentinel

if TYPE_CHECKING:
    from pgstead.engine.addresses import Allocate
    from pgstead.engine.keys import KeyPlace
    from pgstead.engine.lock import Lock
    from pgstead.engine.resource import Observed, Provider, Recorded, Resource
    from pgstead.engine.state import State
    from pgstead.machine import Machine
    from pgstead.membership import EtcdMember
    from pgstead.modules.build import Blueprint
    from pgstead.operations.standing_in import StandIns
    from pgstead.platforms.base import Platform

BROKEN = "broken.json"
"""The file of `Session.broken`."""

DESTROY, STATE = "destroy", "state "
"""The command that removes the machines, and how those begin that do nothing to them."""


@dataclass
class Session:
    """One stack, as far as it has been worked out: each part is made when it is first needed."""

    file: Path
    stack: spec.Stack
    state: State
    held: Lock | None = None
    brought_back: tuple[str, ...] = ()
    """What a drill that was killed had left broken, in words, until this session began."""
    keys: KeyPlace | None = None
    """Where the materials' key is; by default the stack's own place."""
    stand_ins: StandIns | None = None
    """What stands for addresses that only a host or a cloud knows while it does not answer."""

    @cached_property
    def platform(self) -> Platform:
        """The ground that the machines stand on."""
        return platforms.make(
            self.stack,
            self.state.stack_id,
            self.file,
            recorded=self.state.recorded,
            secret=self._secret,
        )

    def _secret(self, name: str) -> str:
        return self.materials.password(name)

    @cached_property
    def facts(self) -> Facts:
        """What exists already."""
        found = self.platform.resolve()
        return found if self.stand_ins is None else self.stand_ins.facts(found)

    @cached_property
    def materials(self) -> StoredMaterials:
        """Keys, certificates, passwords and addresses; every secret among them is redacted."""
        given = {
            name: password.value.get_secret_value()
            for name, password in self.stack.passwords.items()
            if password.value is not None
        }
        vault = Vault(self.state, self.keys)
        return StoredMaterials(vault, allocate=self._allocate, passwords=given)

    @property
    def _allocate(self) -> Allocate:
        """Free addresses: the platform's, or what stands in for them."""
        ask = self.platform.allocate
        return ask if self.stand_ins is None else self.stand_ins.allocate(ask)

    @cached_property
    def blueprint(self) -> Blueprint:
        """What the modules want."""
        from pgstead.modules.build import build  # noqa: PLC0415 - not for destroy and history

        context = Context(
            self.facts, self.materials, look=self._look, etcd_version=self._etcd_version
        )
        made = build(self.stack, context)
        redaction.remember(self.materials.secrets() | made.secrets)
        return made

    def _look(self, machine: str, path: str) -> str | None:
        """The text of a file on a machine, if it can be seen."""
        with suppress(PlatformError):
            return self.platform.reach(machine).read(path)
        return None

    def _etcd_version(self, member: EtcdMember) -> str | None:
        """The version of its cluster's data, of a member that was made and answers."""
        from pgstead.clients.etcd import EtcdClient  # noqa: PLC0415 - for upgrades only

        made = f"machine.{member.name}" in self.state.recorded()
        if not made or self.platform.kind == "memory":
            return None
        with suppress(ClientError):
            place = (member.address, member.client_port)
            return EtcdClient([place], member.operator).cluster_version()
        return None

    @cached_property
    def machines(self) -> tuple[Machine, ...]:
        """The machines, in the stack file's order, and those that carry its sentinels."""
        return (*self.blueprint.machines, *sentinel.machines(self))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know about the stack file."""
        mended = (f"a drill that was killed had left this broken: {w}" for w in self.brought_back)
        return (
            *mended,
            *self.stack.warnings,
            *self.blueprint.warnings,
            *self.materials.warnings(),
            *self.unadopted,
        )

    @cached_property
    def unadopted(self) -> tuple[str, ...]:
        """A warning where a state that knows of nothing may stand for one that was lost."""
        if self.state.recorded():
            return ()
        with suppress(PgsteadError):
            if found := self.platform.found():
                names = ", ".join(sorted({one.machine for one in found}))
                words = (
                    f"machines of a stack called {self.stack.name} exist already, which this state"
                    f" knows nothing of: {names}; if a state was lost, `pgstead adopt` rebuilds it"
                )
                return (words,)
        return ()

    @cached_property
    def desired(self) -> tuple[Resource, ...]:
        """What should exist, as resources. Raises `Refused` where an address is taken by now."""
        addresses.settle(self)
        digest = self.materials.digest
        machines = lowering.annotate(self.platform.lower(self.machines, digest), self.machines)
        return (*machines, *lowering.lower(self.machines, digest))

    @property
    def providers(self) -> Mapping[str, Provider]:
        """Who makes, sees and changes each kind of resource, as of what is recorded now."""
        return platforms.providers(self)

    @property
    def client_folder(self) -> Path:
        """Where the files that a client needs are kept."""
        return platforms.folder_of(self.stack, self.file)

    @property
    def broken(self) -> Path:
        """Where a drill notes what it is about to break, until it is whole again."""
        return self.client_folder / BROKEN

    @property
    def left_broken(self) -> bool:
        """Whether a drill was killed before it could bring back what it broke."""
        if self.held is not None or not self.broken.exists():
            return False
        return kind_of(self.state.database, self.state.stack).is_free()

    def machine(self, name: str) -> Machine:
        """The machine of that name. Raises `SpecError` with the names that there are."""
        for machine in self.machines:
            if machine.name == name:
                return machine
        names = ", ".join(machine.name for machine in self.machines)
        raise SpecError(f"the stack has no machine {name}", hint=f"it has {names}")

    def check_held(self) -> None:
        """Raise `StateError` once the lock is lost, e.g. with its database connection."""
        if self.held is not None:
            check_held(self.held)

    def must_exist(self) -> None:
        """Raise `StateError` if the stack never came up."""
        if not self.state.recorded():
            raise StateError(
                f"the stack {self.stack.name} is not up",
                hint="; ".join(self.unadopted) or f"pgstead up {self.file}",
            )

    def observe(self) -> Mapping[str, Observed]:
        """What is there, of everything that should be or that was made."""
        targets: dict[str, Resource | Recorded] = dict(self.state.recorded())
        targets.update({resource.address: resource for resource in self.desired})
        return observe(targets, self.providers)


def observe(
    targets: Mapping[str, Resource | Recorded], providers: Mapping[str, Provider]
) -> Mapping[str, Observed]:
    """Ask each kind's provider once, about all of its addresses; they are asked side by side."""
    kinds = {target.kind for target in targets.values()}
    of_kind = {
        kind: {address: target for address, target in targets.items() if target.kind == kind}
        for kind in kinds
    }
    with ThreadPoolExecutor(max(1, len(kinds)), thread_name_prefix="observe") as pool:
        answers = pool.map(lambda kind: providers[kind].observe(of_kind[kind]), kinds)
    return {address: one for answer in answers for address, one in answer.items()}


@contextmanager
def open_session(file: Path, *, command: str | None = None) -> Iterator[Session]:
    """The stack of a file; with a `command`, its state is made and locked for it.

    What a drill that was killed left broken is brought back first. Raises `SpecError` for the
    file, `StateError` for the state or when another holds it, and `PlatformError` where
    something broken cannot be brought back.
    """
    stack = spec.load(file)
    with ExitStack() as closing:
        url = stack.state.url or default_url(file, stack.name)
        state = open_state(url, stack.name, create=command is not None)
        closing.callback(state.close)
        held = closing.enter_context(lock(state, command)) if command else None
        session = Session(file, stack, state, held)
        if command and command != sentinel.SPARED:
            closing.enter_context(sentinel.standing_still(session, command))
        if command and not command.startswith(STATE) and session.broken.exists():
            session.brought_back = _bring_back(session, leaving=command == DESTROY)
        yield session


def _bring_back(session: Session, *, leaving: bool) -> tuple[str, ...]:
    """Bring back what a drill that was killed left broken: whoever has the lock comes after it.

    Of what is `leaving` only as much as could outlive it, or keep it from ending.
    """
    from pgstead.drills.faults.notes import bring_back  # noqa: PLC0415 - hardly ever

    return bring_back(session.platform, session.broken, leaving=leaving)
