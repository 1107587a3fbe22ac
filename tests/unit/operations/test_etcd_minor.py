"""Another etcd that appears beside a stack that is up."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgstead.engine.plan import Plan
from pgstead.errors import Refused
from pgstead.operations import plan as planning
from pgstead.operations.destroy import destroy
from pgstead.operations.session import Session, open_session
from pgstead.operations.up import up
from support.asking import ASKING

STACK = """
name: minor
platform: {kind: memory}
cluster: {postgres: {members: 2}, etcd: {members: 3}, load_balancer: {members: 1}}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stack made with etcd 3.5."""
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "stack.yaml"
    path.write_text(STACK)
    up(path, ASKING)
    return path


def plan(file: Path) -> Plan:
    with open_session(file) as session:
        return planning.make(session)


def pinned(file: Path, version: str) -> None:
    """Guests take the release that a stack file names; a cluster names an archive."""
    url = f"https://example.org/etcd-{version}-linux-amd64.tar.gz"
    archive = f"{{url: '{url}', sha256: '{'0' * 64}'}}"
    file.write_text(
        STACK.replace("etcd: {members: 3}", f"etcd: {{members: 3, download: {archive}}}")
    )


@pytest.mark.parametrize(
    ("version", "way"), [("v3.7.0", "go to etcd 3.6 first"), ("v3.4.9", "3.5")]
)
def test_it_is_refused_before_anything_is_changed(file: Path, version: str, way: str) -> None:
    pinned(file, "v3.5.21")
    up(file, ASKING)
    pinned(file, version)
    refused = plan(file).refused
    assert {one.address for one in refused} == {f"machine.etcd-{n}" for n in (1, 2, 3)}
    assert all(way in " ".join(one.reasons) for one in refused)
    with pytest.raises(Refused, match=r"(?s)nothing was changed.*which is etcd 3\.5's"):
        up(file, ASKING)
    pinned(file, "v3.5.21")
    assert not plan(file).pending


def test_the_next_one_is_not(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned(file, "v3.5.21")
    up(file, ASKING)
    pinned(file, "v3.6.1")
    assert not plan(file).refused
    up(file, ASKING)
    pinned(file, "v3.7.0")
    told = " ".join(reason for one in plan(file).refused for reason in one.reasons)
    assert "which may still be etcd 3.5's, since no member answers" in told
    monkeypatch.setattr(Session, "_etcd_version", lambda _self, _member: "3.6.0")
    assert plan(file).refused == ()


def test_data_that_is_gone_has_no_version(file: Path) -> None:
    pinned(file, "v3.5.21")
    up(file, ASKING)
    destroy(file, ASKING, delete_data=True)
    pinned(file, "v3.4.9")
    assert plan(file).refused == ()
