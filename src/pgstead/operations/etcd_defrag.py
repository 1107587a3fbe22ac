"""Free space in a stack's etcd clusters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pgstead.clusters.etcd_defrag import free_space, observe
from pgstead.clusters.etcd_space import Holder
from pgstead.clusters.groups import EtcdCluster, group
from pgstead.errors import SpecError
from pgstead.operations.session import Session, open_session
from pgstead.operations.stopping import Tell, nobody, stoppable

__all__ = ["Defragmented", "Freed", "defrag"]


@dataclass(frozen=True, slots=True)
class Freed:
    """A member's file before and after, in bytes; `used` is what of it is not free now."""

    machine: str
    before: int
    after: int
    used: int


@dataclass(frozen=True, slots=True)
class Defragmented:
    """A cluster whose space was freed."""

    cluster: str
    members: tuple[Freed, ...]


def defrag(
    file: Path, *, say: Callable[[str], None], tell: Tell = nobody
) -> tuple[Defragmented, ...]:
    """Compact, defragment and disarm each etcd cluster of a stack; `say` gets each step's title.

    Raises `SpecError` if there is none, `NotReady` where a member is not well, `Interrupted`
    on Ctrl-C, which `tell` says at once: a step that runs, one member's defragmentation at
    most, ends first.
    """
    with open_session(file, command="etcd defrag") as session:
        session.must_exist()
        clusters = _clusters(session)
        return stoppable(
            lambda: tuple(_one(session, cluster, say) for cluster in clusters),
            message="interrupted: some members may not be defragmented, or alarms be raised still",
            hint=f"`pgstead etcd defrag {file}` does what is left",
            tell=tell,
        )


def _clusters(session: Session) -> Sequence[EtcdCluster]:
    found = tuple(group(session.machines).etcd.values())
    if not found:
        raise SpecError(f"the stack {session.stack.name} has no etcd")
    return found


def _one(session: Session, cluster: EtcdCluster, say: Callable[[str], None]) -> Defragmented:
    before = _by_machine(observe(cluster))
    for step in free_space(cluster, session.materials.server_passwords):
        session.check_held()
        say(step.title)
        step.run()
    after = _by_machine(observe(cluster))
    freed = tuple(Freed(one, before[one].size, after[one].size, after[one].used) for one in before)
    return Defragmented(cluster.name, freed)


def _by_machine(holders: Sequence[Holder]) -> Mapping[str, Holder]:
    return {one.machine: one for one in holders}
