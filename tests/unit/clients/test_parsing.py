from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from pgstead.clients import etcd, haproxy, http, patroni
from pgstead.clients.etcd import EtcdClient, EtcdError
from pgstead.clients.etcd_answers import Health, KeyValue, Member, Status
from pgstead.clients.http import Answer, Unreachable
from pgstead.errors import ClientError
from pgstead.membership import TlsClient

TLS = TlsClient("", "", "")
AT = [("127.9.0.1", 2379), ("127.9.0.2", 2379)]


def answer(body: object, status: int = 200) -> Answer:
    return Answer("POST https://x", status, body if isinstance(body, str) else json.dumps(body))


class TestEtcd:
    def test_member(self) -> None:
        said = {"ID": "339396310482437514", "name": "e", "peerURLs": ["p"], "clientURLs": ["c"]}
        member = Member.parse(said)
        assert (member.id, member.started, member.is_learner) == (339396310482437514, True, False)

    def test_member_that_never_started(self) -> None:
        member = Member.parse({"ID": "1", "peerURLs": ["p"], "isLearner": True})
        assert (member.name, member.started, member.is_learner) == ("", False, True)

    def test_status(self) -> None:
        said = {
            "header": {"member_id": "7"},
            "version": "3.4.23",
            "dbSize": "20480",
            "leader": "9",
            "raftIndex": "27",
            "raftTerm": "2",
        }
        assert Status.parse(said) == Status("3.4.23", 7, 9, 2, 27, 20480)

    def test_key(self) -> None:
        said = {
            "key": base64.b64encode(b"/a/b").decode(),
            "value": base64.b64encode(b"v").decode(),
            "mod_revision": "5",
            "lease": "6",
        }
        assert KeyValue.parse(said) == KeyValue("/a/b", "v", 5, 6)

    def test_health(self) -> None:
        assert Health.parse(answer({"health": "true"})).ok
        assert not Health.parse(answer({"health": "false", "reason": "RAFT NO LEADER"}, 503)).ok
        assert "no JSON" in Health.parse(answer("not ready", 503)).reason

    def test_prefix_end(self) -> None:
        assert etcd.prefix_end("/service/x/") == "/service/x0"


Reply = Callable[[str, str, dict[str, Any], dict[str, str]], Answer]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Callable[[Reply], list[tuple[str, str]]]:
    """Replace HTTPS by a function of (host, path, body, headers); gives what was asked."""

    def install(reply: Reply) -> list[tuple[str, str]]:
        asked: list[tuple[str, str]] = []

        def ask(
            self: http.Https,
            method: str,
            path: str,
            body: Any = None,
            *,
            headers: dict[str, str] | None = None,
            timeout: float | None = None,
        ) -> Answer:
            asked.append((self.host, path))
            return reply(self.host, path, body, headers or {})

        monkeypatch.setattr(http.Https, "ask", ask)
        return asked

    return install


Server = Callable[[Reply], list[tuple[str, str]]]


class TestEtcdClient:
    def test_next_endpoint_when_one_is_silent(self, server: Server) -> None:
        def reply(host: str, path: str, body: Any, headers: Any) -> Answer:
            if host == "127.9.0.1":
                raise Unreachable("refused")
            return answer({"members": [{"ID": "1"}]})

        asked = server(reply)
        assert [member.id for member in EtcdClient(AT, TLS).members()] == [1]
        assert [host for host, _ in asked] == ["127.9.0.1", "127.9.0.2"]

    def test_all_silent(self, server: Server) -> None:
        def reply(host: str, *_: Any) -> Answer:
            raise Unreachable(f"{host}: refused")

        server(reply)
        with pytest.raises(Unreachable, match=r"127\.9\.0\.1: refused; 127\.9\.0\.2: refused"):
            EtcdClient(AT, TLS).status()

    def test_no_token_where_authentication_is_off(self, server: Server) -> None:
        def reply(host: str, path: str, body: Any, headers: dict[str, str]) -> Answer:
            if path.endswith("authenticate"):
                return answer({"error": "etcdserver: authentication is not enabled"}, 400)
            assert "Authorization" not in headers
            return answer({"users": ["root"]})

        server(reply)
        client = EtcdClient(AT, TLS, "root", "secret")
        assert client.users() == ("root",)
        assert not client.authentication_enabled()
        assert not client.accepts("root", "secret")

    def test_stale_token_is_fetched_anew(self, server: Server) -> None:
        tokens = iter(["old", "new"])

        def reply(host: str, path: str, body: Any, headers: dict[str, str]) -> Answer:
            if path.endswith("authenticate"):
                return answer({"token": next(tokens)})
            if headers["Authorization"] == "old":
                return answer({"error": "etcdserver: invalid auth token"}, 401)
            return answer({"roles": ["root"]})

        server(reply)
        assert EtcdClient(AT, TLS, "root", "secret").roles() == ("root",)

    def test_who_needed_no_token_logs_in_once_authentication_is_on(self, server: Server) -> None:
        on = False

        def reply(host: str, path: str, body: Any, headers: dict[str, str]) -> Answer:
            if path.endswith("authenticate"):
                off = answer({"error": "etcdserver: authentication is not enabled"}, 412)
                return answer({"token": "new"}) if on else off
            if on and headers.get("Authorization") != "new":
                return answer({"error": "etcdserver: user name is empty"}, 400)
            return answer({"roles": ["root"]})

        asked = server(reply)
        client = EtcdClient(AT, TLS, "root", "secret")
        assert client.roles() == client.roles() == ("root",)
        assert [path for _, path in asked].count("/v3/auth/authenticate") == 1
        on = True
        assert client.roles() == ("root",)

    def test_errors_say_what_and_never_a_secret(self, server: Server) -> None:
        server(lambda *_: answer({"error": "etcdserver: permission denied"}, 403))
        client = EtcdClient(AT, TLS, "root", "hush-hush")
        with pytest.raises(EtcdError, match="permission denied") as raised:
            client.user_change_password("patroni", "hush-hush")
        assert "hush" not in raised.value.message
        assert "hush" not in repr(client)


class TestPatroni:
    def test_cluster(self) -> None:
        said = {
            "scope": "main",
            "members": [
                {
                    "name": "a",
                    "role": "leader",
                    "state": "running",
                    "pending_restart": True,
                    "pending_restart_reason": {
                        "max_connections": {"old_value": "60", "new_value": "50"}
                    },
                },
                {"name": "b", "role": "quorum_standby", "state": "streaming", "lag": 80},
                {"name": "c", "role": "replica", "state": "stopped", "lag": "unknown"},
            ],
        }
        view = patroni.ClusterView.parse(said)
        assert view.leader is not None
        assert view.leader.pending == {"max_connections": ("60", "50")}
        assert [m.serves for m in view.members] == [True, True, False]
        assert [m.lag for m in view.members] == [None, 80, None]
        assert [m.is_synchronous for m in view.members] == [False, True, False]
        assert not view.paused

    def test_history(self) -> None:
        line = [1, 25623960, "no recovery target specified", "2026-01-01T00:00:00+00:00", "a"]
        assert patroni.HistoryEntry.parse(line).leader == "a"
        assert patroni.HistoryEntry.parse(line[:3]).at == ""

    def test_refusal_keeps_patronis_words(self, server: Server) -> None:
        server(lambda *_: answer("leader name does not match", 412))
        client = patroni.PatroniClient("127.9.0.1", 4443, TLS)
        with pytest.raises(ClientError, match="412: leader name does not match"):
            client.switchover("a", "b")

    def test_silence_is_not_ready(self, server: Server) -> None:
        def reply(*_: Any) -> Answer:
            raise Unreachable("refused")

        server(reply)
        client = patroni.PatroniClient("127.9.0.1", 4443, TLS)
        assert (client.ready(), client.alive(), client.leads()) == (False, False, False)


def test_haproxy_statistics() -> None:
    text = (
        "# pxname,svname,scur,stot,status,lastchg,downtime,check_status,\n"
        "primary,FRONTEND,0,0,OPEN,,,,\n"
        "primary,pg-1,0,3,DOWN,6,6,L7STS,\n"
        "primary,pg-2,2,5,UP 1/3,3,2,L7OK,\n"
        "primary,BACKEND,0,0,UP,3,2,,\n"
    )
    servers = tuple(haproxy.parse(text))
    assert [(s.name, s.up, s.sessions, s.changed_seconds) for s in servers] == [
        ("pg-1", False, 0, 6),
        ("pg-2", True, 2, 3),
    ]


def test_an_answer_that_is_no_json_is_shown_in_part() -> None:
    with pytest.raises(ClientError, match=r"POST https://x: .* 200: x{300}$"):
        answer("x" * 900).json()
