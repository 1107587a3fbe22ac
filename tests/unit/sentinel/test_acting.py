"""Steps that are done: verified, guarded, held, and told."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pgstead.errors import PlatformError
from pgstead.platforms.base import Power
from pgstead.sentinel.acting import RETRY_SECONDS, Hands
from pgstead.sentinel.events import Event, Kind, Log, parse
from pgstead.sentinel.observation import LeaderKey
from pgstead.sentinel.steps import Act, Forget, Note, PowerOff, Start, TakeKey

KEY = LeaderKey("a", 7, 12)


@dataclass
class Fakes:
    """A platform, etcd and a hold, which note what was asked of them."""

    on: bool = False
    stubborn: bool = False
    granted: bool = True
    free: bool = True
    asked: list[tuple[object, ...]] = field(default_factory=list)

    def power(self, machine: str) -> Power:
        assert machine == "m"
        return Power(self.on, "boot")

    def power_off(self, machine: str, boot: str) -> None:
        self.asked.append(("power_off", machine, boot))
        self.on = self.stubborn

    def start(self, machine: str) -> None:
        self.asked.append(("start", machine))
        if self.stubborn:
            raise PlatformError("its host is gone")

    def note(self, machine: str, boot: str) -> bool:
        self.asked.append(("note", machine, boot))
        return self.granted

    def forget(self, machine: str) -> bool:
        self.asked.append(("forget", machine))
        return self.granted

    def take(self, key: LeaderKey, rest: int) -> bool:
        assert rest > 0
        self.asked.append(("take", key))
        return self.granted

    def holder(self) -> str:
        return "" if self.free else "another"

    @contextmanager
    def taken(self) -> Iterator[bool]:
        yield self.free


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "state" / "events.jsonl")


def told(log: Log) -> list[tuple[Kind, str]]:
    return [(one.kind, one.text) for one in parse(log.path.read_text().splitlines())]


def act(fakes: Fakes, log: Log, step: Act) -> list[tuple[Kind, str]]:
    Hands(fakes, fakes, fakes, log).act(step)
    return told(log)


def test_each_step_is_done_and_told(log: Log) -> None:
    fakes = Fakes(on=True)
    for step in (Note("m", "boot"), PowerOff("m", "boot"), TakeKey("m", KEY), Start("m")):
        act(fakes, log, step)
    act(fakes, log, Forget("m"))
    assert [one[0] for one in fakes.asked] == ["note", "power_off", "take", "start", "forget"]
    assert told(log) == [
        (Kind.DECIDED, "prepare to fence m, boot boot"),
        (Kind.DONE, "m is noted"),
        (Kind.DECIDED, "power m off, boot boot"),
        (Kind.DONE, "m is off"),
        (Kind.DECIDED, "take the leader's key from a: m is off"),
        (Kind.DONE, "a lost the key"),
        (Kind.DECIDED, "start m again, as a standby"),
        (Kind.DONE, "m runs again"),
        (Kind.DECIDED, "forget the fencing of m"),
        (Kind.DONE, "the note of m is gone"),
    ]


def test_the_key_of_a_machine_that_is_not_off_is_left_alone(log: Log) -> None:
    fakes = Fakes(on=True)
    assert act(fakes, log, TakeKey("m", KEY))[-1] == (
        Kind.FAILED,
        "m is not off: its key is left alone",
    )
    assert fakes.asked == []


def test_a_machine_that_stays_on_is_told(log: Log) -> None:
    fakes = Fakes(on=True, stubborn=True)
    assert act(fakes, log, PowerOff("m", "boot"))[-1][0] is Kind.FAILED


def test_what_etcd_refuses_is_told(log: Log) -> None:
    said = act(Fakes(granted=False), log, TakeKey("m", KEY))[-1]
    assert said[0] is Kind.FAILED
    assert "etcd refused" in said[1]


def test_nothing_is_done_once_a_command_has_begun(log: Log) -> None:
    fakes = Fakes(free=False)
    said = act(fakes, log, TakeKey("m", KEY))[-1]
    assert said == (Kind.FAILED, "another command has just begun to work on the stack")
    assert fakes.asked == []


def test_a_machine_that_cannot_be_started_is_tried_again_later(log: Log) -> None:
    now = [0.0]
    fakes = Fakes(stubborn=True)
    hands = Hands(fakes, fakes, fakes, log, lambda: now[0])
    assert hands.later() == frozenset()
    hands.act(Start("m"))
    assert hands.later() == {"m"}
    now[0] = RETRY_SECONDS
    assert hands.later() == frozenset()
    assert told(log)[-1] == (Kind.FAILED, "its host is gone")


def test_what_is_seen_is_told_once_and_a_moment_of_doubt_not_at_all(log: Log) -> None:
    for text, wrong in [
        ("a leads", False),
        ("a leads", False),
        ("a is late", True),
        ("a leads", False),
        ("a is late", True),
        ("a is silent", True),
        ("a is silent", True),
        ("a leads", False),
    ]:
        log.seen(text, wrong=wrong)
    assert [text for _, text in told(log)] == ["a leads", "a is late", "a is silent", "a leads"]


def test_a_line_that_was_cut_off_is_left_out() -> None:
    whole = Event("2026-01-01T00:00:00.000+00:00", Kind.DONE, "it")
    assert parse([whole.line(), '{"at": "20', "[]", ""]) == (whole,)


def test_a_long_log_begins_anew(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgstead.sentinel.events.LONGEST", 200)
    for number in range(4):
        log.done(f"{number}" * 80)
    assert log.path.with_suffix(".1").exists()
    assert log.path.stat().st_mode & 0o777 == 0o600 if log.path.exists() else True
