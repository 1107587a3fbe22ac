"""Drills against real servers: what is broken, measured, judged and restored."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psutil
import psycopg
import pytest

from pgstead.drills.fault import Damage, Scene
from pgstead.drills.faults import ALL
from pgstead.drills.table import TABLE
from pgstead.drills.verdict import Verdict
from pgstead.operations import drill as operation
from pgstead.waiting import wait
from support.stack import SMALL, Stack, stack_in

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("drill")]

STRUCK = ("postgres-killed", "synchronous-standby-dead")
"""One that costs writes and one that does not; `test_faults.py` has the others."""


@pytest.fixture(scope="module")
def drilled(quickstart: Stack) -> dict[str, Any]:
    """The document of one round of each."""
    words = [word for name in STRUCK for word in ("--fault", name)]
    demands = ["lost == 0", "max(write_outage) <= 60s", "postgres-killed: timeline_changes == 1"]
    words += [word for demand in demands for word in ("--assert", demand)]
    page = str(quickstart.folder / "drill.html")
    document: dict[str, Any] = quickstart.json(
        "drill", str(quickstart.file), "--yes", "--report", page, *words
    )
    return document


def test_each_fault_is_measured_and_nothing_is_lost(drilled: Mapping[str, Any]) -> None:
    assert drilled["passed"]
    assert [fault["fault"] for fault in drilled["faults"]] == list(STRUCK)
    for fault in drilled["faults"]:
        assert (fault["lost"], fault["duplicates"], fault["unsound"]) == (0, 0, []), fault
        assert fault["acknowledged"] > 100
    rounds = {each["fault"]: each for each in drilled["rounds"]}
    assert rounds["postgres-killed"]["write_outage"] > 0.2
    assert len(rounds["postgres-killed"]["promotions"]) == 1
    assert rounds["synchronous-standby-dead"]["promotions"] == []
    assert all(each["holds"] for each in drilled["assertions"])


def test_every_client_wrote_before_and_after(drilled: Mapping[str, Any]) -> None:
    for each in drilled["rounds"]:
        clients = {one["client"]: one for one in each["clients"]}
        assert len(clients) == 5
        assert all(one["acknowledged"] > 10 for one in clients.values()), each["fault"]
        pulse = each["pulse"]
        late = each["rows"]["acknowledged"] - sum(pulse["writes"])
        assert 0 <= late <= 4  # what each writer had under way when the round ended
        assert pulse["begin"] < -1.5
        assert each["restored"] < each["whole"]


def test_the_cluster_is_whole_and_the_table_gone(
    quickstart: Stack, drilled: Mapping[str, Any]
) -> None:
    del drilled
    assert quickstart.status()["whole"]
    assert not has_table(quickstart)
    page = (quickstart.folder / "drill.html").read_text(encoding="utf-8")
    assert page.count("<svg") == len(STRUCK)


def has_table(stack: Stack) -> bool:
    with psycopg.connect(stack.dsn()) as connection:
        row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (TABLE,)).fetchone()
    return bool(row and row[0])


def test_stopped_while_all_of_etcd_is_down_it_brings_etcd_back(quickstart: Stack) -> None:
    process = quickstart.start("drill", str(quickstart.file), "--yes", "--fault", "etcd-down")
    wait(lambda: not etcd_runs(quickstart) or None, deadline=60, what="etcd to be down")
    process.send_signal(signal.SIGHUP)  # its terminal is closed
    began = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "what was broken is restored" in err
    assert time.monotonic() - began < 50  # not the minute that it lasts by design
    assert len(etcd_runs(quickstart)) == 3
    quickstart.becomes_whole()
    assert not has_table(quickstart)


def etcd_runs(stack: Stack) -> list[psutil.Process]:
    found = []
    for process in stack.processes():
        with suppress(psutil.Error):
            if process.name() == "etcd":
                found.append(process)
    return found


def test_a_drill_that_was_killed_is_put_right_by_the_next(quickstart: Stack) -> None:
    process = quickstart.start("drill", str(quickstart.file), "--yes", "--fault", "etcd-down")
    wait(lambda: not etcd_runs(quickstart) or None, deadline=60, what="etcd to be down")
    process.kill()
    process.communicate()
    done = quickstart.run("drill", str(quickstart.file), "--yes", "--fault", "switchover")
    assert "an earlier drill left broken" in done.stderr
    assert "switchover 1/1: writes stopped for" in done.stderr
    assert not has_table(quickstart)


def test_a_cluster_that_is_not_whole_is_not_drilled(quickstart: Stack) -> None:
    quickstart.run("stop", str(quickstart.file), "etcd-1", "--yes")
    try:
        done = quickstart.run("drill", str(quickstart.file), "--yes", "--all", code=1)
        assert "is not whole: etcd-1: stopped" in done.stderr
    finally:
        quickstart.run("start", str(quickstart.file), "etcd-1")


def test_without_a_terminal_nothing_is_broken_unasked(quickstart: Stack) -> None:
    done = quickstart.run("drill", str(quickstart.file), "--fault", "all-dead", code=2)
    assert "--yes" in done.stderr
    assert quickstart.status()["whole"]


def test_the_list_says_what_cannot_be_done_here_and_why(quickstart: Stack) -> None:
    told = {one["name"]: one for one in quickstart.json("drill", str(quickstart.file), "--list")}
    assert told.keys() == ALL.keys()
    assert told["leader-dead"]["refused"] is None
    assert "clock" in told["clock-ahead"]["refused"]
    done = quickstart.run("drill", str(quickstart.file), "--yes", "--fault", "clock-ahead", code=1)
    assert told["clock-ahead"]["refused"] in done.stderr


@dataclass(frozen=True)
class BehindTheStandby:
    """The leader killed, after its standby got nothing of what it wrote last."""

    stack: Stack
    name: str = "behind-the-standby"
    title: str = "PostgreSQL killed on the leader while the standby lags"

    def refused(self, scene: Scene) -> str | None:
        return None

    def strike(self, scene: Scene) -> Damage:
        with psycopg.connect(self.stack.dsn("--admin"), autocommit=True) as connection:
            sender = _only(connection, "SELECT pid FROM pg_stat_replication")
            psutil.Process(sender).suspend()
            here = _only(connection, "SELECT pg_current_wal_lsn()")
            written = "SELECT pg_current_wal_lsn() - %s::pg_lsn > 20000"
            wait(lambda: _only(connection, written, here) or None, deadline=20, what="rows to lose")
        return ALL["postgres-killed"].strike(scene)


def _only(connection: psycopg.Connection[Any], query: Any, *values: object) -> Any:
    row = connection.execute(query, values).fetchone()
    assert row
    return row[0]


class Quiet:
    """Watches, and tells nobody."""

    def round_started(self, fault: str, number: int, rounds: int) -> None: ...
    def happened(self, what: str) -> None: ...
    def round_ended(self, verdict: Verdict) -> None: ...


def test_without_synchronous_replication_a_standby_that_lags_costs_rows_and_the_drill_says_so(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stack_in(own_folder, "t-drill-async") as stack:
        # A standby that gives its silent sender up streams from another one, and nothing is lost.
        patient = {"wal_receiver_timeout": "60s"}
        asynchronous = {"members": 2, "synchronous": False}
        stack.write({**SMALL, "postgres": asynchronous, "timings": patient})
        stack.up()
        fault = BehindTheStandby(stack)
        monkeypatch.setenv("HOME", str(own_folder / "home"))
        monkeypatch.setattr(operation, "ALL", MappingProxyType({fault.name: fault}))
        wanted = operation.Wanted((fault.name,), 1, ("lost == 0",))
        done = operation.drill(stack.file, wanted, accept=lambda *_: True, watching=Quiet())
        assert done is not None
        assert done.broken_off is None
        (verdict,) = done.verdicts
        assert verdict.rows is not None
        assert verdict.rows.lost
        assert not verdict.sound
        assert not done.passed
        assert [outcome.holds for outcome in done.outcomes] == [False]
        assert stack.status()["whole"]
