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
from pgstead.engine.lock import check_held, lock
from pgstead.engine.materials import StoredMaterials
from pgstead.engine.state import default_url, open_state
from pgstead.engine.vault import Vault
from pgstead.errors import PlatformError, SpecError, StateError
from pgstead.modules.base import Context, Facts
from pgstead.operations import addresses, platforms

if TYPE_CHECKING:
    from pgstead.engine.lock import Lock
    from pgstead.engine.resource import Observed, Provider, Recorded, Resource
    from pgstead.engine.state import State
    from pgstead.machine import Machine
    from pgstead.modules.build import Blueprint
    from pgstead.platforms.base import Platform


@dataclass
class Session:
    """One stack, as far as it has been worked out: each part is made when it is first needed."""

    file: Path
    stack: spec.Stack
    state: State
    held: Lock | None = None

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
        return self.platform.resolve()

    @cached_property
    def materials(self) -> StoredMaterials:
        """Keys, certificates, passwords and addresses; every secret among them is redacted."""
        given = {
            name: password.value.get_secret_value()
            for name, password in self.stack.passwords.items()
            if password.value is not None
        }
        return StoredMaterials(Vault(self.state), allocate=self.platform.allocate, passwords=given)

    @cached_property
    def blueprint(self) -> Blueprint:
        """What the modules want."""
        from pgstead.modules.build import build  # noqa: PLC0415 - not for destroy and history

        made = build(self.stack, Context(self.facts, self.materials, look=self._look))
        redaction.remember(self.materials.secrets())
        return made

    def _look(self, machine: str, path: str) -> str | None:
        """The text of a file on a machine, if it can be seen."""
        with suppress(PlatformError):
            return self.platform.reach(machine).read(path)
        return None

    @property
    def machines(self) -> tuple[Machine, ...]:
        """The machines, in the stack file's order."""
        return self.blueprint.machines

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know about the stack file."""
        return (*self.stack.warnings, *self.blueprint.warnings, *self.materials.warnings())

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
        return self.file.absolute().parent / ".pgstead" / self.stack.name

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
                hint=f"pgstead up {self.file}",
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

    Raises `SpecError` for the file, `StateError` for the state or when another holds it.
    """
    stack = spec.load(file)
    with ExitStack() as closing:
        url = stack.state.url or default_url(file, stack.name)
        state = open_state(url, stack.name, create=command is not None)
        closing.callback(state.close)
        held = closing.enter_context(lock(state, command)) if command else None
        yield Session(file, stack, state, held)
