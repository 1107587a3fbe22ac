"""The transactions with which a sentinel writes: what they compare, and what they change."""

from typing import Any

import pytest

from pgstead.clients.etcd import encoded
from pgstead.membership import TlsClient
from pgstead.sentinel.observation import LeaderKey
from pgstead.sentinel.store import Store
from pgstead.sentinel.target import Place, Target

TARGET = Target(
    "main",
    "/service/main/",
    (Place("a", "m", "127.9.0.1", 4443),),
    (("127.9.0.9", 2379),),
    TlsClient("", "", ""),
    TlsClient("", "", ""),
    "made-up",
)
ACTING = {
    "key": encoded("/pgstead/sentinel/main/acting"),
    "target": "VALUE",
    "value": encoded("me"),
}


class Calls:
    """A gateway that answers the same again and again."""

    def __init__(self, *, succeeded: bool = True) -> None:
        self.made: list[tuple[str, Any]] = []
        self.succeeded = succeeded

    def __call__(self, path: str, body: Any = None) -> dict[str, Any]:
        self.made.append((path, body))
        return {"ID": "77", "succeeded": self.succeeded}

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.made]


def store(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> Store:
    made = Store(TARGET, "me")
    monkeypatch.setattr(type(made.client), "call", lambda _, *words: calls(*words))
    return made


def test_the_leaders_key_is_deleted_if_it_is_the_one_that_was_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = Calls()
    assert store(calls, monkeypatch).take(LeaderKey("a", 7, 12), 10)
    key = encoded("/service/main/leader")
    assert calls.made[0] == ("/v3/lease/grant", {"TTL": "10"})
    body = calls.made[1][1]
    assert body["compare"] == [
        ACTING,
        {"key": key, "target": "VALUE", "value": encoded("a")},
        {"key": key, "target": "MOD", "mod_revision": "7"},
        {"key": key, "target": "LEASE", "lease": "12"},
    ]
    assert body["success"][0] == {"request_delete_range": {"key": key}}
    resting = body["success"][1]["request_put"]
    assert resting["key"] == encoded("/pgstead/sentinel/main/resting")
    assert resting["lease"] == "77"


def test_the_time_of_rest_is_given_back_where_the_key_was_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = Calls(succeeded=False)
    assert not store(calls, monkeypatch).take(LeaderKey("a", 7, 12), 10)
    assert calls.paths == ["/v3/lease/grant", "/v3/kv/txn", "/v3/lease/revoke"]


def test_notes_are_written_by_the_one_that_may_act(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls()
    made = store(calls, monkeypatch)
    assert made.note("m", "boot")
    assert made.forget("m")
    assert [body["compare"] for _, body in calls.made] == [[ACTING], [ACTING]]


def test_a_sentinel_acts_once_nobody_does_and_keeps_its_lease(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = Calls()
    made = store(calls, monkeypatch)
    made.campaign("another")
    assert calls.made == []
    made.campaign("")
    assert calls.paths == ["/v3/lease/grant", "/v3/kv/txn"]
    assert calls.made[1][1]["compare"][0]["create_revision"] == "0"
    made.campaign("me")
    assert len(calls.made) == 2  # it is early yet
    made._renewed -= 60
    made.campaign("me")
    assert calls.made[2] == ("/v3/lease/keepalive", {"ID": "77"})
    made.resign()
    assert calls.made[3] == ("/v3/lease/revoke", {"ID": "77"})


def test_the_member_that_did_not_answer_is_asked_last() -> None:
    client = Store(TARGET, "me").client
    client.endpoints = [("one", 1), ("two", 2), ("three", 3)]
    asked = client._servers()
    next(asked)
    next(asked)
    del asked
    assert client.endpoints == [("two", 2), ("three", 3), ("one", 1)]
