"""A newer PostgreSQL that appears, and one that is asked for, on a stack that is up."""

from pathlib import Path

import pytest

from pgstead.cli.app import app
from pgstead.cli.failure import guarded
from pgstead.engine.plan import Action, Plan
from pgstead.errors import Refused
from pgstead.operations import plan as planning
from pgstead.operations.destroy import destroy
from pgstead.operations.session import open_session
from pgstead.operations.up import up
from pgstead.platforms.memory import MemoryPlatform
from pgstead.platforms.memory import platform as memory
from support.asking import ASKING

STACK = """
name: major
platform: {{kind: memory}}
cluster: {{postgres: {{members: {}{}}}, etcd: {{members: 1}}, load_balancer: {{members: 1}}}}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stack made with PostgreSQL 17, since when there is 18."""
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "stack.yaml"
    path.write_text(STACK.format(2, ""))
    up(path, ASKING)
    newer = {**memory.VERSIONS, "postgresql": "18.1", "postgresql-17": "17.0"}
    monkeypatch.setattr(memory, "VERSIONS", newer)
    return path


def plan(file: Path) -> Plan:
    with open_session(file) as session:
        return planning.make(session)


def versions(file: Path) -> list[str]:
    with open_session(file) as session:
        return [one.postgresql for one in session.machines if one.postgresql]


def test_a_newer_one_changes_nothing_and_new_members_follow(file: Path) -> None:
    assert not plan(file).pending
    file.write_text(STACK.format(3, ""))
    machines = {one.address for one in plan(file).pending if one.kind == "machine"}
    assert machines == {"machine.postgres-3", "machine.load-balancer-1"}
    assert versions(file) == ["17", "17", "17"]


def test_another_one_is_refused_and_nothing_is_changed(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(STACK.format(3, ", version: 18"))
    refused = {one.address for one in plan(file).refused}
    assert refused == {f"machine.postgres-{number}" for number in (1, 2, 3)}
    with pytest.raises(Refused, match="which PostgreSQL 17 made") as caught:
        up(file, ASKING)
    assert "--recreate" not in str(caught.value.hint)
    assert guarded(lambda: app(["plan", str(file)], standalone_mode=False)) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "! machine.postgres-1 refuse PostgreSQL 18 cannot open its data" in said
    assert "go back to version 17" in said
    file.write_text(STACK.format(2, ", version: 17"))
    assert {one.action for one in plan(file).changes} == {Action.NONE}


def test_data_that_is_kept_keeps_its_version(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(MemoryPlatform, "dispose", lambda *_, **__: (tmp_path,))
    destroy(file, ASKING, delete_data=False)
    assert versions(file) == ["17", "17"]


def test_a_stack_without_its_data_takes_the_newest(file: Path) -> None:
    destroy(file, ASKING, delete_data=True)
    assert versions(file) == ["18", "18"]
