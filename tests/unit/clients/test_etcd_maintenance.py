"""What etcd answers about its space, parsed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pgstead.clients.etcd import EtcdClient, EtcdError
from pgstead.clients.etcd_answers import Health, Status
from pgstead.clients.etcd_maintenance import Alarm, alarms, compact, defragment, disarm
from pgstead.membership import TlsClient

TLS = TlsClient("ca", "crt", "key")
Calls = list[tuple[float, str, Mapping[str, Any]]]

FULL = {
    "header": {"member_id": "7", "revision": "312"},
    "version": "3.4.23",
    "dbSize": "8400896",
    "dbSizeInUse": "544768",
    "leader": "7",
    "raftTerm": "2",
    "raftIndex": "340",
    "errors": ["memberID:7 alarm:NOSPACE "],
}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What is asked, with the seconds that are waited for an answer."""
    made: Calls = []

    def call(self: EtcdClient, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        made.append((self.timeout, path, body or {}))
        if (body or {}).get("revision") == "5":
            reason = "etcdserver: mvcc: required revision has been compacted"
            raise EtcdError(reason, reason)
        if (body or {}).get("revision") == "6":
            raise EtcdError("no", "permission denied")
        raised = [{"memberID": "7", "alarm": "NOSPACE"}, {"memberID": "9"}]
        return {"alarms": raised} if path.endswith("alarm") else {}

    monkeypatch.setattr(EtcdClient, "call", call)
    return made


def test_a_members_status_tells_sizes_and_alarms() -> None:
    status = Status.parse(FULL)
    assert (status.database_bytes, status.used_bytes, status.revision) == (8400896, 544768, 312)
    assert status.no_space
    assert not Status.parse({**FULL, "errors": []}).no_space


def test_one_without_space_serves_but_is_not_well() -> None:
    assert Health(True).serves
    assert Health(False, "why", no_space=True).serves
    assert not Health(False).serves


def test_alarms_are_those_that_are_raised(calls: Calls) -> None:
    client = EtcdClient([("10.0.0.1", 2379)], TLS)
    assert alarms(client) == (Alarm(7, "NOSPACE"),)
    disarm(client, Alarm(7, "NOSPACE"))
    assert calls[-1][2] == {"action": "DEACTIVATE", "memberID": "7", "alarm": "NOSPACE"}


def test_what_takes_long_is_waited_for(calls: Calls) -> None:
    client = EtcdClient([("10.0.0.1", 2379)], TLS)
    compact(client, "10.0.0.1", 2379, 300)
    defragment(client, "10.0.0.2", 2379)
    assert [(path, body) for _, path, body in calls] == [
        ("/v3/kv/compaction", {"revision": "300", "physical": True}),
        ("/v3/maintenance/defragment", {}),
    ]
    assert all(seconds > 60 for seconds, _, _ in calls)
    assert client.timeout < 60


def test_history_that_is_dropped_already_is_fine(calls: Calls) -> None:
    client = EtcdClient([("10.0.0.1", 2379)], TLS)
    compact(client, "10.0.0.1", 2379, 5)
    with pytest.raises(EtcdError, match="no"):
        compact(client, "10.0.0.1", 2379, 6)
    assert len(calls) == 2
