"""Lost SSH keys: a state can be rebuilt without them where no ssh enters the machines."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("openstack")

from openstack.compute.v2 import server

from pgstead.certificates import make_authority
from pgstead.errors import Refused
from pgstead.operations.adopt import Source, adopt
from pgstead.operations.session import open_session
from pgstead.platforms.openstack import connection
from support.openstack.fake import GIVEN, FakeCloud, port_with

MARKS = {
    "pgstead_stack": "shop",
    "pgstead_stack_id": "0123",
    "pgstead_machine": "lb-1",
    "pgstead_address": "10.99.0.11",
    "pgstead_user": "admin",
}
KEYS = "ssh-keys"


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeCloud:
    """One machine of a stack, which is off."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    port = port_with("10.99.0.11", description="pgstead shop 0123 lb-1/0", device_id="s1")
    made = FakeCloud(port)
    found = server.Server(id="s1", name="lb-1", status="SHUTOFF", metadata=MARKS)
    made.compute.servers.return_value = [found]
    made.block_storage.volumes.return_value = []
    monkeypatch.setattr(connection, "_connect", lambda _: made)
    return made


def stack(folder: Path, delivery: str, **more: Any) -> Path:
    """A stack file that holds its authority."""
    authority = make_authority("lb", "pgstead", now=datetime.now(UTC))
    haproxy = {"members": [{"name": "postgres-1", "ip": "10.99.0.15"}]}
    tree = {
        "name": "shop",
        "platform": {"kind": "openstack", "delivery": delivery, **GIVEN},
        "certificate_authorities": {
            "lb": {"key": authority.key, "certificate": authority.certificate}
        },
        "modules": {
            "lb-1": {"source": "postgres-load-balancer", "name": "lb-1", "ca": "lb"}
            | {"haproxy": haproxy}
        },
        **more,
    }
    file = folder / "stack.yaml"
    file.write_text(json.dumps(tree))
    return file


@pytest.mark.usefixtures("cloud")
def test_machines_that_are_entered_by_ssh_cannot_be_adopted_without_their_keys(
    tmp_path: Path,
) -> None:
    with pytest.raises(Refused, match=f"lost with the state: password '{KEYS}'$"):
        adopt(stack(tmp_path, "reach"), Source(), lambda _: True)


@pytest.mark.usefixtures("cloud")
def test_what_the_keys_follow_from_may_be_in_the_stack_file(tmp_path: Path) -> None:
    file = stack(tmp_path, "reach", passwords={KEYS: {"value": "kept elsewhere"}})
    made = adopt(file, Source(), lambda _: True)
    assert made.written
    assert not [one for one in made.warnings if KEYS in one]
    with open_session(file) as session:
        assert set(session.state.recorded()) == {"machine.lb-1"}
        assert session.materials.password(KEYS) == "kept elsewhere"


@pytest.mark.usefixtures("cloud")
def test_where_nobody_enters_machines_nobody_needs_them(tmp_path: Path) -> None:
    file = stack(tmp_path, "user_data")
    made = adopt(file, Source(), lambda _: True)
    assert made.written
    assert made.warnings[-1] == f"lost, and not needed here, so it is made anew: password '{KEYS}'"
