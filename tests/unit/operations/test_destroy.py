"""Destroying a stack on the memory platform."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from pgstead.engine.resource import Observed, Recorded, Resource, Unknown
from pgstead.errors import NotReady
from pgstead.operations.destroy import destroy
from pgstead.operations.session import open_session
from pgstead.operations.up import up
from pgstead.platforms.memory import MemoryProvider
from support.asking import ASKING

STACK = """
name: gone
platform: {kind: memory}
cluster: {postgres: {members: 2}, etcd: {members: 3}, load_balancer: {members: 1}}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "stack.yaml"
    path.write_text(STACK)
    return path


def test_what_cannot_be_seen_is_not_forgotten(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    up(file, ASKING)
    original = MemoryProvider.observe

    def half_blind(
        self: MemoryProvider, targets: Mapping[str, Resource | Recorded]
    ) -> Mapping[str, Observed]:
        seen = original(self, targets)
        return {**seen, "machine.etcd-1": Unknown("no permission")} if targets else seen

    with monkeypatch.context() as patch:
        patch.setattr(MemoryProvider, "observe", half_blind)
        with pytest.raises(NotReady, match=r"machine\.etcd-1: no permission"):
            destroy(file, ASKING, delete_data=True)
    with open_session(file) as session:
        assert list(session.state.recorded()) == ["machine.etcd-1"]
    assert destroy(file, ASKING, delete_data=True).removed == ("machine.etcd-1",)
    with open_session(file) as session:
        assert not session.state.recorded()
