"""What a client keeps, gives up, and writes down; its server is made up."""

from __future__ import annotations

import itertools
import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from pgstead.drills import client as module
from pgstead.drills import wire
from pgstead.drills.client import Client, Style
from pgstead.drills.ledger import Attempt, Work
from pgstead.drills.wire import CalledOff, Failed, Patience
from pgstead.drills.workload import Load, numbering


@dataclass
class FakeServer:
    """Answers what it is told to, and remembers; `enough` is set after so many statements."""

    answers: Iterator[str | Exception]
    most: int
    hosts: list[str] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)
    closed: int = 0
    patience: Patience | None = None
    enough: threading.Event = field(default_factory=threading.Event)

    def connect(self, uri: str, patience: Patience, answers: Patience) -> FakeServer:
        self.hosts.append(uri)
        self.patience = answers
        return self

    def rows(self, sql: str) -> list[tuple[str | None, ...]]:
        self.statements.append(sql)
        if len(self.statements) >= self.most:
            self.enough.set()
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        return [(answer,)]

    def close(self) -> None:
        self.closed += 1


Serve = Callable[..., FakeServer]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    def make(*answers: str | Exception, most: int) -> FakeServer:
        server = FakeServer(itertools.chain(answers, itertools.repeat("10.0.0.1")), most)
        monkeypatch.setattr(module, "connect", server.connect)
        monkeypatch.setattr(module, "RETRY", 0.0)
        return server

    return make


def ran(server: FakeServer, style: Style, *hosts: str) -> tuple[Attempt, ...]:
    client = Client(style, hosts or ["one"], numbering())
    client.start()
    assert server.enough.wait(10)
    client.end()
    client.join()
    return client.log().attempts


def test_a_persistent_client_keeps_its_connection_and_counts_its_rows(serve: Serve) -> None:
    server = serve(most=5)
    attempts = ran(server, Style("it", Work.WRITE, pause=0.0))
    assert (server.hosts, server.closed) == (["one"], 1)
    assert [each.row for each in attempts] == list(range(1, len(attempts) + 1))
    assert (
        server.statements[2] == "INSERT INTO pgstead_drill VALUES (3) RETURNING inet_server_addr()"
    )
    assert {each.said for each in attempts} == {"10.0.0.1"}
    assert all(each.sent <= each.ended for each in attempts)


def test_after_an_error_it_goes_to_the_next_host_with_a_new_row(serve: Serve) -> None:
    server = serve("10.0.0.1", Failed("server closed the connection"), most=4)
    attempts = ran(server, Style("it", Work.WRITE, pause=0.0), "one", "two")
    assert server.hosts == ["one", "two"]
    assert [each.error for each in attempts[:3]] == ["", "server closed the connection", ""]
    assert [each.row for each in attempts[:3]] == [1, 2, 3]
    assert [each.acknowledged for each in attempts[:3]] == [True, False, True]


def test_a_reconnecting_client_has_a_connection_for_each_statement(serve: Serve) -> None:
    server = serve(most=3)
    ran(server, Style("it", Work.READ, reconnects=True, pause=0.0))
    assert len(server.hosts) == server.closed == len(server.statements)


def test_a_connection_that_cannot_be_made_sends_no_row(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(most=2)
    refusals = iter([Failed("Connection refused")])

    def connect(uri: str, patience: Patience, answers: Patience) -> FakeServer:
        for refusal in refusals:
            raise refusal
        return server.connect(uri, patience, answers)

    monkeypatch.setattr(module, "connect", connect)
    attempts = ran(server, Style("it", Work.WRITE, pause=0.0))
    assert (attempts[0].row, attempts[0].error) == (None, "Connection refused")
    assert attempts[1].row == 1


def test_a_row_whose_answer_never_comes_is_written_down_when_the_drill_ends(serve: Serve) -> None:
    server = serve(most=1)

    def hang(sql: str) -> list[tuple[str | None, ...]]:
        server.enough.set()
        assert server.patience
        while not server.patience.called_off():
            time.sleep(0.001)
        raise CalledOff("the drill is over")

    server.rows = hang  # type: ignore[method-assign]
    client = Client(Style("it", Work.WRITE), ["one"], numbering())
    client.start()
    assert server.enough.wait(10)
    client.end()
    client.join(grace=0.01)
    ((attempt),) = client.log().attempts
    assert (attempt.row, attempt.acknowledged) == (1, False)


def test_who_goes_on_without_gaps_is_steady(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("pgstead.drills.client.time.monotonic", lambda: now[0])
    streak = module._Streak()

    def after(seconds: float, *, acknowledged: bool = True) -> float:
        now[0] += seconds
        if acknowledged:
            streak.go_on(now[0])
        return streak.seconds()

    assert after(0.4) == pytest.approx(0.4)
    assert after(0.4) == pytest.approx(0.8)
    assert after(0.6, acknowledged=False) == 0
    assert after(0.0) == 0  # the gap was too long: it begins anew
    assert after(0.3) == pytest.approx(0.3)
    streak.begin()
    assert streak.seconds() == 0


def test_a_load_is_as_steady_as_its_worst_client_of_a_kind(serve: Serve) -> None:
    server = serve(most=1)
    writer = Client(Style("writer", Work.WRITE, pause=0.0), ["one"], numbering())
    idle = Client(Style("idle", Work.WRITE), ["one"], numbering())
    reader = Client(Style("reader", Work.READ), ["one"], numbering())
    writer.start()
    assert server.enough.wait(10)
    load = Load([writer, idle, reader])
    assert load.steady(Work.WATCH, 1.0)  # there is none
    assert not load.steady(Work.WRITE, 0.001)
    assert "idle: no answer" in load.halting(Work.WRITE)
    writer.end()
    writer.join()


def test_no_two_clients_get_the_same_number() -> None:
    numbers = numbering()
    seen: list[int] = []
    threads = [
        threading.Thread(target=lambda: seen.extend(itertools.islice(numbers, 500)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(1, 2001))


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_a_wait_ends_by_its_limit_by_being_called_off_or_by_an_answer(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "LOOK", 0.005)
    reading, writing = pipe
    with pytest.raises(Failed, match=r"an answer took longer than 0.02 s"):
        wire._Limit(Patience(0.02), "an answer").wait(reading, select.POLLIN)
    with pytest.raises(CalledOff):
        wire._Limit(Patience(None, lambda: True), "an answer").wait(reading, select.POLLIN)
    os.write(writing, b"x")
    wire._Limit(Patience(None, lambda: True), "an answer").wait(reading, select.POLLIN)
