"""Make a plan, keep it in a file, and see whether it still holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgstead.engine.compare import make_plan
from pgstead.engine.leaving import leave_out
from pgstead.engine.plan import MACHINE, Action, Change, Phase, Plan
from pgstead.errors import Refused, SpecError
from pgstead.machine import OnChange
from pgstead.operations.platforms import check_renewed, leaders
from pgstead.operations.session import Session

FORMAT = "pgstead-plan-1"


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """A plan kept in a file: which stack file it is of, and a fingerprint of all it would do."""

    file: Path
    fingerprint: str
    recreate: tuple[str, ...]


def make(session: Session, *, recreate: Collection[str] = ()) -> Plan:
    """Compare what should be with what was made and what is there; changes nothing."""
    made = leave_out(
        make_plan(session.desired, session.state.recorded(), session.observe(), recreate=recreate)
    )
    _check_together(made)
    if made.renewed:
        check_renewed(session, made, recreate)
    return made.with_last(leaders(session)) if _moves_leaders(made) else made


def requests(session: Session) -> int | None:
    """How many requests a cloud was sent so far; None where there is no cloud."""
    from pgstead.platforms.base import Counts  # noqa: PLC0415 - start-up time

    return session.platform.requests if isinstance(session.platform, Counts) else None


def _check_together(plan: Plan) -> None:
    """Raise `Refused` where Patroni could not read a new password before etcd takes it."""
    for change in plan.pending:
        if change.held and change.phase is Phase.MACHINES and _brings_files(change):
            raise Refused(
                f"{change.address} needs a restart, and passwords in etcd change as well: "
                "in between, its Patroni could not log in",
                hint="put the former passwords back, run `up`, then change them again",
            )


def _brings_files(change: Change) -> bool:
    return any(
        difference.hidden and not difference.drift and difference.on_change is OnChange.RELOAD
        for difference in change.differences
    )


def _moves_leaders(plan: Plan) -> bool:
    """Whether machines are disturbed, so that it matters who leads."""
    return any(change.exclusive and change.kind == MACHINE for change in plan.pending)


def save(session: Session, plan: Plan, target: Path, *, recreate: Collection[str]) -> None:
    """Keep a plan. Raises `Refused` for one that cannot be applied."""
    if plan.refused:
        raise Refused("a plan that holds refusals cannot be kept", hint="see `pgstead plan`")
    document = {
        "format": FORMAT,
        "file": str(session.file.absolute()),
        "fingerprint": fingerprint(session, plan),
        "recreate": sorted(recreate),
    }
    target.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def read(file: Path) -> SavedPlan | None:
    """The plan in a file, or None if it is no plan but something else."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(document, Mapping) or "fingerprint" not in document:
        return None
    if document.get("format") != FORMAT:
        raise SpecError(f"{file} was made by another version of pgstead", hint="plan again")
    return SavedPlan(
        Path(document["file"]), document["fingerprint"], tuple(document.get("recreate", ()))
    )


def check(session: Session, plan: Plan, saved: SavedPlan) -> None:
    """Raise `Refused` if applying now would do something other than what was planned then."""
    if fingerprint(session, plan) != saved.fingerprint:
        raise Refused(
            "the world has moved since the plan was made; nothing was changed",
            hint=f"pgstead plan {saved.file} shows what would be done now",
        )


def fingerprint(session: Session, plan: Plan) -> str:
    """A digest of everything the plan would do, and of what it is based on."""
    changes = [
        [change.address, change.action, _values(change.resource), _differences(change.differences)]
        for change in plan.changes
        if change.action is not Action.NONE
    ]
    text = json.dumps([session.stack.name, changes], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _values(resource: Any) -> Any:
    return resource.values if resource else None


def _differences(differences: Any) -> Any:
    return [[each.key, each.before, each.after] for each in differences]
