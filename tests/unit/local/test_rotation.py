from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pgstead.platforms.local import rotation
from pgstead.platforms.local.account import service_account
from pgstead.platforms.local.places import Places
from pgstead.run import run

BEAT = "ver:3.0 server:supervisor serial:1 pool:rotate poolserial:1 eventname:TICK_5 len:{}\n{}"
LIMIT = 100


@pytest.fixture
def places(tmp_path: Path) -> Places:
    account = replace(service_account(None), switch=False)
    made = Places(tmp_path / "it's here", tmp_path / "short", account)
    made.machine("m").log("x").parent.mkdir(parents=True)
    return made


def beat(places: Places, times: int = 1) -> str:
    """Run the listener through some beats; what it answered."""
    file = places.root / rotation.NAME
    file.write_text(rotation.script(places, LIMIT))
    beats = BEAT.format(15, "when:1201063880") * times
    return run(["/bin/sh", file], stdin=beats).stdout


def test_each_beat_is_answered_as_supervisor_wants_it(places: Places) -> None:
    assert beat(places, 2) == "READY\nRESULT 2\nOKREADY\nRESULT 2\nOKREADY\n"


def test_a_log_that_is_short_stays(places: Places) -> None:
    log = places.machine("m").log("app")
    log.write_text("x" * LIMIT)
    beat(places)
    assert [path.name for path in log.parent.iterdir()] == ["app.log"]


def test_a_log_that_has_grown_is_copied_and_emptied_and_some_are_kept(places: Places) -> None:
    log = places.machine("m").log("app")
    with log.open("a") as server:
        for number in range(rotation.KEPT + 2):
            server.write(f"{number}" * (LIMIT + 1))
            server.flush()
            beat(places)
        server.write("the same file, still open")
    assert log.read_text() == "the same file, still open"
    kept = {path.name: path.read_text()[0] for path in log.parent.glob("app.log.*")}
    assert kept == {"app.log.1": "4", "app.log.2": "3", "app.log.3": "2"}


def test_without_room_for_a_copy_the_log_stays(places: Places) -> None:
    log = places.machine("m").log("app")
    log.write_text("x" * (LIMIT + 1))
    log.with_name("app.log.new").mkdir()  # as good as a full disk: the copy does not come about
    log.with_name("app.log.new").joinpath("app.log").mkdir()
    beat(places)
    assert log.stat().st_size == LIMIT + 1
    assert not log.with_name("app.log.1").exists()
