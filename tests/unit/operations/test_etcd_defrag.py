"""`pgstead etcd defrag`: what it tells, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pgstead.cli.app import app
from pgstead.clusters.etcd_space import Holder
from pgstead.engine.resource import Step
from pgstead.errors import NotReady, SpecError, StateError
from pgstead.operations import etcd_defrag
from pgstead.operations.etcd_defrag import defrag
from pgstead.operations.up import up
from support.asking import ASKING

CLUSTER = "cluster: {postgres: {members: 2}, etcd: {members: 1}, load_balancer: {members: 0}}"
ALONE = (
    "modules: {db: {source: postgres-server, name: db, ca: ca}}\ncertificate_authorities: {ca: {}}"
)


def written(folder: Path, content: str) -> Path:
    file = folder / "stack.yaml"
    file.write_text(f"name: freed\nplatform: {{kind: memory}}\n{content}\n", encoding="utf-8")
    return file


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stack that is up, whose etcd shrinks from 64 to 1 MiB in two steps."""
    monkeypatch.setenv("HOME", str(tmp_path))
    made = written(tmp_path, CLUSTER)
    up(made, ASKING)
    sizes = [64 << 20]

    def steps(*_: object) -> Iterator[Step]:
        yield Step("compact", lambda: None)
        yield Step("defragment etcd-1", lambda: sizes.append(1 << 20))

    def seen(_cluster: object) -> tuple[Holder, ...]:
        return (Holder("etcd-1", 1, 1, size=sizes[-1], used=1 << 19),)

    monkeypatch.setattr(etcd_defrag, "free_space", steps)
    monkeypatch.setattr(etcd_defrag, "observe", seen)
    return made


def test_progress_goes_to_standard_error_and_the_result_to_standard_output(file: Path) -> None:
    done = CliRunner().invoke(app, ["etcd", "defrag", str(file)])
    assert done.exit_code == 0, done.output
    assert done.stdout == "etcd-1: 64.0 MiB -> 1.0 MiB, 0.5 MiB in use\n"
    assert done.stderr.splitlines() == ["compact", "defragment etcd-1"]


def test_json_is_one_document_in_bytes(file: Path) -> None:
    done = CliRunner().invoke(app, ["etcd", "defrag", str(file), "--format", "json"])
    member = {"machine": "etcd-1", "before": 64 << 20, "after": 1 << 20, "in_use": 1 << 19}
    assert json.loads(done.stdout) == {"clusters": [{"cluster": "freed", "members": [member]}]}


def test_a_stack_that_is_not_up_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="is not up"):
        defrag(written(tmp_path, CLUSTER), say=print)


def test_a_stack_without_etcd_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    made = written(tmp_path, ALONE)
    up(made, ASKING)
    with pytest.raises(SpecError, match="has no etcd"):
        defrag(made, say=print)


def test_what_stops_it_is_the_commands_error(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def steps(*_: object) -> Iterator[Step]:
        def fail() -> None:
            raise NotReady("etcd-2 is away")

        yield Step("defragment etcd-1", fail)

    monkeypatch.setattr(etcd_defrag, "free_space", steps)
    with pytest.raises(NotReady, match="etcd-2 is away"):
        defrag(file, say=print)
