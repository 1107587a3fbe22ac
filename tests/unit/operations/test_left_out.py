"""An `up` while some of the ground is down: the rest is done, and what was not is said."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from pgstead.cli.app import app
from pgstead.cli.failure import guarded
from pgstead.engine.resource import Observed, Recorded, Resource, Unknown
from pgstead.operations.session import open_session
from pgstead.operations.up import up
from pgstead.platforms.memory import MemoryPlatform, MemoryProvider
from support.asking import ASKING

STACK = """
name: away
platform: {{kind: memory}}
cluster: {{postgres: {{members: {}}}, etcd: {{members: 3}}, load_balancer: {{members: {}}}}}
"""
DOWN = Unknown("cannot connect to qemu+ssh://b", down=True)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "stack.yaml"
    path.write_text(STACK.format(3, 1))
    up(path, ASKING)
    return path


@pytest.fixture
def etcd_3_is_away(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = MemoryProvider.observe

    def half_blind(
        self: MemoryProvider, targets: Mapping[str, Resource | Recorded]
    ) -> Mapping[str, Observed]:
        seen = original(self, targets)
        return {key: DOWN if key == "machine.etcd-3" else one for key, one in seen.items()}

    monkeypatch.setattr(MemoryProvider, "observe", half_blind)


@pytest.mark.usefixtures("etcd_3_is_away")
def test_machines_elsewhere_are_made(file: Path) -> None:
    file.write_text(STACK.format(3, 2))
    done = up(file, ASKING)
    assert "machine.load-balancer-2" in done.changed
    assert done.left_out["machine.etcd-3"] == DOWN.reason
    with open_session(file) as session:
        assert session.state.recorded()["machine.etcd-3"].status == "ready", "nothing is forgotten"


@pytest.mark.usefixtures("etcd_3_is_away")
def test_no_member_is_taken_out_meanwhile(file: Path) -> None:
    file.write_text(STACK.format(2, 1))
    done = up(file, ASKING)
    assert "would disturb a cluster while machine.etcd-3" in done.left_out["machine.postgres-3"]
    assert "machine.postgres-3" not in done.changed


@pytest.mark.usefixtures("etcd_3_is_away")
def test_the_command_says_so_and_fails(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(lambda: app(["up", str(file), "--yes"], standalone_mode=False)) == 1
    said = capsys.readouterr()
    assert "1 left out" in said.err
    assert "machine.etcd-3: cannot connect to qemu+ssh://b" in said.err
    assert guarded(lambda: app(["plan", str(file)], standalone_mode=False)) == 0
    assert "? machine.etcd-3 leave" in capsys.readouterr().out


def test_once_it_is_back_the_rest_follows(
    file: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    with monkeypatch.context() as patch:
        original = MemoryProvider.observe
        patch.setattr(
            MemoryProvider,
            "observe",
            lambda self, targets: {
                key: DOWN if key == "machine.etcd-3" else one
                for key, one in original(self, targets).items()
            },
        )
        file.write_text(STACK.format(2, 1))
        assert up(file, ASKING).left_out
    done = up(file, ASKING)
    assert "machine.postgres-3" in done.changed
    assert done.left_out == {}


def test_data_that_was_put_aside_is_named(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = (Path("old"),), (Path("default/postgres-3-data"), Path("old"))
    told = iter((before, after))
    monkeypatch.setattr(MemoryPlatform, "kept", lambda self: next(told))
    file.write_text(STACK.format(2, 1))
    assert guarded(lambda: app(["up", str(file), "--yes"], standalone_mode=False)) == 0
    said = capsys.readouterr().out
    assert "Data was put aside, and is deleted by nobody: default/postgres-3-data" in said
    assert "old" not in said
