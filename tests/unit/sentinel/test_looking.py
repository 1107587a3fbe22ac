"""A look: what could not be seen is not known, and nobody is waited for too long."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import pytest

from pgstead.clients.etcd import EtcdError
from pgstead.clients.http import Unreachable
from pgstead.errors import ClientError, PlatformError
from pgstead.membership import TlsClient
from pgstead.operations.sentinel import FreshGround
from pgstead.platforms.base import Platform, Power
from pgstead.sentinel import looking
from pgstead.sentinel.looking import TOO_LATE, Sight
from pgstead.sentinel.observation import Dcs, LeaderKey, Machine, Member
from pgstead.sentinel.store import Store
from pgstead.sentinel.target import Place, Target

TLS = TlsClient("", "", "")
MEMBERS = tuple(Place(name, f"m-{name}", "127.9.0.1", 4443) for name in ("a", "b"))
TARGET = Target("main", "/service/main/", MEMBERS, (("127.9.0.9", 2379),), TLS, TLS, "made-up")
DCS = Dcs(LeaderKey("a", 7, 12), fenced={"m-b": "boot", "gone": "boot"})


class Fakes:
    """Etcd, a platform and a hold."""

    def __init__(self) -> None:
        self.error: ClientError | None = None
        self.campaigned: list[str] = []
        self.powers: dict[str, Power | PlatformError] = {
            "m-a": Power(True, "1"),
            "m-b": Power(False),
        }
        self.hangs: threading.Event | None = None

    def read(self) -> Dcs:
        if self.error:
            raise self.error
        return DCS

    def campaign(self, acting: str) -> None:
        self.campaigned.append(acting)

    def power(self, machine: str) -> Power:
        if self.hangs and machine == "m-a":
            self.hangs.wait(10)
        found = self.powers[machine]
        if isinstance(found, PlatformError):
            raise found
        return found

    def holder(self) -> str:
        return "`pgstead up`"

    @contextmanager
    def taken(self) -> Iterator[bool]:
        yield True


@pytest.fixture
def fakes() -> Fakes:
    return Fakes()


@pytest.fixture
def sight(fakes: Fakes) -> Iterator[Sight]:
    made = Sight(TARGET, cast("Store", fakes), fakes, fakes, lambda: frozenset({"m-b"}))
    yield made
    made.close()


def test_a_calm_look_asks_etcd_and_the_machines_that_matter(fakes: Fakes, sight: Sight) -> None:
    seen = sight.look(False)
    assert seen.dcs == DCS
    assert seen.machines == {"m-a": Machine(True, "1"), "m-b": Machine(False)}
    assert seen.members is None
    assert seen.leaders == Machine(True, "1")
    assert (seen.held, seen.later) == ("`pgstead up`", frozenset({"m-b"}))
    assert seen.at <= seen.until
    assert fakes.campaigned == [""]


def test_a_close_look_asks_every_member(sight: Sight, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(place: Place, target: Target, *, leads: bool) -> Member:
        assert target is TARGET
        return Member(place.name, answers=not leads)

    monkeypatch.setattr(looking, "_asked", asked)
    seen = sight.look(True)
    assert seen.leader_answers is False
    assert [one.name for one in seen.others] == ["b"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Unreachable("GET https://127.9.0.9:2379: no answer"), "no member answers in time"),
        (EtcdError("etcd says: it", "it"), "etcd says: it"),
    ],
)
def test_without_etcd_nothing_else_is_asked(
    fakes: Fakes, sight: Sight, error: ClientError, words: str
) -> None:
    fakes.error = error
    seen = sight.look(True)
    assert (seen.dcs, seen.trouble, seen.machines, seen.members) == (None, words, {}, None)
    assert seen.key is None
    assert seen.leaders.on is None


def test_a_platform_that_cannot_tell(fakes: Fakes, sight: Sight) -> None:
    fakes.powers["m-a"] = PlatformError("its host is down")
    assert sight.look(False).leaders == Machine(None, reason="its host is down")


def test_a_platform_that_hangs_keeps_nobody_waiting_and_its_late_answer_does_not_count(
    fakes: Fakes, sight: Sight, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "POWER_SECONDS", 0.05)
    fakes.hangs = threading.Event()
    assert sight.look(False).leaders == TOO_LATE
    asked = sight.late["m-a"]
    assert sight.look(False).leaders == TOO_LATE
    assert sight.late["m-a"] is asked  # it is asked once, not again and again
    fakes.hangs.set()
    asked.result(10)
    fakes.powers["m-a"] = Power(False)
    monkeypatch.setattr(looking, "POWER_SECONDS", 10.0)
    assert sight.look(False).leaders == Machine(False)


def test_a_platform_that_failed_is_made_anew() -> None:
    made: list[Fakes] = []

    def make() -> Platform:
        made.append(Fakes())
        if len(made) == 1:
            made[0].powers["m-a"] = PlatformError("its host is down")
        return cast("Platform", made[-1])

    ground = FreshGround(make)
    with pytest.raises(PlatformError, match="its host is down"):
        ground.power("m-a")
    assert ground.power("m-a").on
    assert ground.power("m-a").on
    assert len(made) == 2
