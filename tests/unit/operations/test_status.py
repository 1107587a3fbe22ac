"""What `status` says of machines that do not serve, and of ground that is down."""

from pathlib import Path
from typing import cast

import pytest

from pgstead.cli import status_view
from pgstead.errors import PlatformError
from pgstead.machine import Machine
from pgstead.operations import status as module
from pgstead.operations.results import MemberStatus, Status
from pgstead.operations.session import Session, open_session
from pgstead.operations.up import up
from pgstead.platforms.base import Power
from pgstead.platforms.memory import MemoryPlatform
from support.asking import ASKING

STACK = """
name: told
platform: {kind: memory}
cluster: {postgres: {members: 2}, etcd: {members: 1}}
"""
DOWN = "host b cannot be reached: no route"


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Status:
    """Two that serve, one on a host that is down, and one that was switched off."""
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "stack.yaml"
    file.write_text(STACK)
    up(file, ASKING)

    def asked(machine: Machine, clusters: module.Clusters) -> MemberStatus:
        well = not machine.name.startswith("postgres")
        state = "healthy" if well else module.SILENT
        return MemberStatus(machine.name, "any", state, "10.0.0.1", healthy=well)

    def power(self: MemoryPlatform, machine: str) -> Power:
        assert machine.startswith("postgres"), "what serves is on"
        if machine == "postgres-1":
            raise PlatformError(DOWN)
        return Power(on=False)

    monkeypatch.setattr(module, "_view", lambda machines: None)
    monkeypatch.setattr(module, "_etcd_roles", lambda machines: {})
    monkeypatch.setattr(module, "_asked", asked)
    monkeypatch.setattr(MemoryPlatform, "power", power)
    with open_session(file) as session:
        return module.status(session)


def test_a_machine_out_of_reach_is_told_of_once_and_why(told: Status) -> None:
    assert told.problems == (
        f"postgres-1: does not answer ({DOWN})",
        "postgres-2: stopped",
    )
    assert not told.whole


def test_a_program_is_told_too(told: Status) -> None:
    reasons = {one["machine"]: one["reason"] for one in status_view.as_json(told)["members"]}
    assert {machine: reason for machine, reason in reasons.items() if reason} == {
        "postgres-1": DOWN
    }


def seen(problems: tuple[str, ...] = ()) -> Status:
    return Status("told", "memory", (), problems, ())


@pytest.mark.parametrize(
    ("seconds", "looks", "end"),
    [(60.0, 3, ()), (0.0, 1, ("postgres-1 starts",))],
    ids=["until it is whole", "for no time at all"],
)
def test_a_stack_is_waited_for(
    seconds: float, looks: int, end: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    coming = iter([seen(("postgres-1 starts",)), seen(("postgres-1 starts",)), seen()])
    asked: list[Session] = []

    def status(session: Session) -> Status:
        asked.append(session)
        return next(coming)

    monkeypatch.setattr(module, "status", status)
    monkeypatch.setattr(module, "BETWEEN_LOOKS", 0.0)
    session = cast("Session", object())
    assert module.status_once_whole(session, seconds).problems == end
    assert asked == [session] * looks
