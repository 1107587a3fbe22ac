"""Machines with a system of their own, broken from the inside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import pytest

from pgstead.errors import PlatformError, Refused
from pgstead.platforms.breaking import Breakage, Cut
from pgstead.platforms.guests.breaking import TABLE, GuestBreaking, rules
from pgstead.reach.base import Finished, Reach


@dataclass
class Inside:
    """Runs Python on this very machine, and only remembers everything else."""

    commands: list[Sequence[str]] = field(default_factory=list)
    answer: Finished = field(default_factory=lambda: Finished(0, "", ""))
    own: bool = True

    def run(self, argv: Sequence[str], *, timeout: float = 60.0) -> Finished:
        self.commands.append(argv)
        if argv[0] != "python3" or "clock_settime" in argv[-2]:
            return self.answer
        done = subprocess.run(
            [sys.executable, *argv[1:]],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def own_clock(self, machine: str) -> bool:
        del machine
        return self.own

    def suspend(self, machine: str, boot: str) -> None:
        self.commands.append(["suspend", machine, boot])

    def resume(self, machine: str) -> None:
        self.commands.append(["resume", machine])


@pytest.fixture
def inside() -> Inside:
    return Inside()


@pytest.fixture
def breaking(inside: Inside) -> GuestBreaking:
    return GuestBreaking(lambda _: cast(Reach, inside), inside)


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_processes_are_found_and_signalled_by_what_tells_them_from_later_ones(
    breaking: GuestBreaking, child: subprocess.Popen[bytes]
) -> None:
    found = {one.pid: one for one in breaking.processes("m")}
    mine = found[child.pid]
    assert (mine.parent, mine.name) == (os.getpid(), "sleep")
    earlier = f"{child.pid}:1"
    breaking.signal("m", [earlier, "999999999:1"], signal.SIGKILL)
    assert child.poll() is None
    breaking.signal("m", [earlier, mine.identity], signal.SIGKILL)
    assert child.wait(10) == -signal.SIGKILL
    assert mine.identity not in [one.identity for one in breaking.processes("m")]


def test_packets_are_lost_in_a_table_of_its_own(inside: Inside, breaking: GuestBreaking) -> None:
    cut = Cut("m", "10.0.0.1", {"n": "10.0.0.2", "o": "fd00::2"})
    breaking.cut(cut)
    (command,) = inside.commands
    assert command[0] == "nft"
    assert f"rule inet {TABLE} output ip daddr 10.0.0.2 drop" in command[1]
    assert f"rule inet {TABLE} input ip6 saddr fd00::2 drop" in command[1]
    assert "input" not in rules(Cut("m", "", {"n": "10.0.0.2"}, received=False))
    assert "output" not in rules(Cut("m", "", {"n": "10.0.0.2"}, sent=False))
    breaking.mend("m")
    assert f"delete table inet {TABLE}" in inside.commands[-1][1]


def test_what_the_guest_lacks_is_told(inside: Inside, breaking: GuestBreaking) -> None:
    assert breaking.cannot(Breakage.CUT, "m") is None
    inside.answer = Finished(127, "", "nft: not found")
    assert breaking.cannot(Breakage.CUT, "m") == "nft cannot be used on m: nft: not found"
    with pytest.raises(PlatformError, match="m: nft failed: nft: not found"):
        breaking.cut(Cut("m", "", {"n": "10.0.0.2"}))


def test_without_a_way_in_only_power_and_freezing_are_left(inside: Inside) -> None:
    def nowhere(machine: str) -> Reach:
        raise PlatformError(f"there is no way into {machine}")

    breaking = GuestBreaking(nowhere, inside)
    assert breaking.cannot(Breakage.FREEZE, "m") is None
    for what in (Breakage.SIGNAL, Breakage.CUT, Breakage.CLOCK):
        assert breaking.cannot(what, "m") == "there is no way into m"


def test_a_shared_clock_is_not_set(inside: Inside, breaking: GuestBreaking) -> None:
    breaking.step_clock("m", -5)
    assert inside.commands[-1][-1] == "-5"
    inside.own = False
    with pytest.raises(Refused, match="m shares its host's clock"):
        breaking.step_clock("m", 5)


def test_freezing_is_the_hypervisors(inside: Inside, breaking: GuestBreaking) -> None:
    breaking.freeze("m", "7")
    breaking.thaw("m")
    assert inside.commands == [["suspend", "m", "7"], ["resume", "m"]]
