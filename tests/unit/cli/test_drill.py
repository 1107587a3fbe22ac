"""The drill's command: what it takes, and what it refuses before anything is broken."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from pgstead.cli import drill, signals
from pgstead.cli.drill_view import show
from pgstead.drills.result import Drilled
from pgstead.errors import Refused, SpecError
from pgstead.operations.drill import Wanted
from pgstead.operations.drill import drill as run
from support.drills import STARTED, verdict


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    file = tmp_path / "stack.yaml"
    file.write_text(
        "{name: shop, production: true, platform: {kind: memory},"
        " cluster: {postgres: {members: 3}}}"
    )
    return file


def refused(stack: Path, *faults: str, demand: str = "lost == 0") -> None:
    run(stack, Wanted(faults, 1, (demand,)), accept=lambda *_: False, watching=None)  # type: ignore[arg-type]


def test_a_production_stack_takes_more_than_yes(stack: Path) -> None:
    with pytest.raises(Refused, match="production: true") as caught:
        refused(stack, "switchover")
    assert "--yes-really" in (caught.value.hint or "")
    assert not (stack.parent / ".pgstead").exists()


def test_what_is_not_known_is_said_before_anything_else(stack: Path) -> None:
    with pytest.raises(SpecError, match="there is no fault 'leader-dea'") as caught:
        refused(stack, "leader-dea")
    assert "leader-dead" in (caught.value.hint or "")
    with pytest.raises(SpecError, match="'outage' is no figure"):
        refused(stack, "switchover", demand="outage == 0s")


def test_one_says_what_to_break_and_the_report_can_be_written(stack: Path) -> None:
    with pytest.raises(SpecError, match="say what to break"):
        drill.drill(stack)
    with pytest.raises(SpecError, match="say what to break"):
        drill.drill(stack, fault=["switchover"], every=True)
    with pytest.raises(SpecError, match="cannot be written"):
        drill.drill(stack, every=True, report=stack.parent / "no" / "such" / "page.html")


def test_the_end_of_the_terminal_is_taken_as_sigterm_is(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM)}
    try:
        stopping = signals.Stopping()
        signal.signal(signal.SIGTERM, stopping)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        signals.take_hangup()
        assert signal.getsignal(signal.SIGHUP) is stopping
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup leaves it
        signals.take_hangup()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_the_table_tells_each_fault_and_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    from pgstead.cli.console import out  # noqa: PLC0415 - after standard output is captured

    rounds = (verdict(4.0), verdict(6.0, number=2, found=[1]))
    show(Drilled("shop", "local", STARTED, STARTED, rounds, (), {}, {}), out())
    lines = capsys.readouterr().out.splitlines()
    row = next(line for line in lines if line.startswith("leader-dead"))
    figures = "2 5.0 / 6.0 / 6.0 - 8.0 / 8.0 / 8.0 0 0 1 ?"
    assert " ".join(row.split()) == f"leader-dead {figures}"
    assert "! leader-dead 2: 0 rows lost, 1 there more than once" in lines
