"""Each fault: whom it is for, what it does, when it is refused, and how it is undone."""

from __future__ import annotations

import inspect
import signal
from pathlib import Path
from typing import Any

import pytest

from pgstead.drills.faults import ALL
from pgstead.drills.faults.notes import Notes, bring_back
from pgstead.drills.faults.undoing import KINDS, Start, from_words, to_words
from pgstead.errors import PlatformError, Refused, StateError
from pgstead.platforms.breaking import Breakage, Cut
from support.breakable import Breakable, scene_of


@pytest.fixture
def platform() -> Breakable:
    return Breakable()


def test_every_fault_has_a_name_and_a_title_of_its_own() -> None:
    assert all(name == fault.name for name, fault in ALL.items())
    assert len({fault.title for fault in ALL.values()}) == len(ALL)
    wanted = {"postgres-killed", "leader-dead", "leader-frozen", "switchover", "etcd-down"}
    assert wanted < ALL.keys()


def test_none_is_refused_where_everything_is_there(platform: Breakable) -> None:
    scene = scene_of(platform)
    assert {name: why for name, one in ALL.items() if (why := one.refused(scene))} == {}


@pytest.mark.parametrize(
    ("lacking", "faults", "why"),
    [
        ({"standbys": 0, "synchronous": ()}, ["leader-dead", "switchover"], "no standby"),
        ({"standbys": 1}, ["leader-dead", "standby-dead", "leader-frozen"], "writes wait"),
        ({"etcd": 0}, ["etcd-down", "etcd-member-dead", "cut-etcd"], "no etcd of its own"),
        ({"etcd": 1}, ["etcd-leader-dead", "both-leaders-dead"], "no majority"),
        ({"load_balancers": 0}, ["load-balancer-killed", "cut-load-balancer"], "no load bal"),
        ({"synchronous": ()}, ["synchronous-standby-dead"], "no standby is synchronous"),
    ],
)
def test_what_the_cluster_lacks_refuses(
    platform: Breakable, lacking: dict[str, Any], faults: list[str], why: str
) -> None:
    scene = scene_of(platform, **lacking)
    for name in faults:
        assert why in (ALL[name].refused(scene) or ""), name
    assert platform.done == []


def test_one_standby_is_enough_where_writes_need_none(platform: Breakable) -> None:
    scene = scene_of(platform, standbys=1, settings={"ttl": 30})
    assert ALL["leader-dead"].refused(scene) is None


@pytest.mark.parametrize(
    ("what", "faults"),
    [
        (Breakage.SIGNAL, ["postgres-killed", "patroni-killed", "postgres-frozen"]),
        (Breakage.FREEZE, ["leader-frozen"]),
        (Breakage.CUT, ["cut-etcd", "cut-standbys-sent", "cut-load-balancer-received"]),
        (Breakage.CLOCK, ["clock-ahead", "clock-back"]),
    ],
)
def test_what_the_platform_cannot_do_is_refused_in_its_words(
    platform: Breakable, what: Breakage, faults: list[str]
) -> None:
    platform.cannots[what] = "the ground is too soft"
    for name in faults:
        assert ALL[name].refused(scene_of(platform)) == "the ground is too soft"


def test_a_program_that_does_not_run_cannot_be_killed(platform: Breakable) -> None:
    scene = scene_of(platform, load_balancers=2)
    elsewhere = ALL["postgres-killed"]
    assert elsewhere.refused(scene) is None
    moved = scene_of(platform, standbys=1, settings={})
    object.__setattr__(moved, "leader", "postgres-2")
    assert elsewhere.refused(moved) == "no postgres runs on postgres-2"
    with pytest.raises(Refused, match="no postgres runs on postgres-2"):
        elsewhere.strike(moved)


@pytest.mark.parametrize(
    ("fault", "machine", "killed", "words"),
    [
        ("postgres-killed", "postgres-1", ("11:2", "12:3"), "postgres (pid 11 and 1 more)"),
        ("patroni-killed", "postgres-1", ("10:1",), "patroni (pid 10)"),
        ("load-balancer-killed", "load-balancer-1", ("20:1", "21:1"), "haproxy (pid 20 and 1"),
    ],
)
def test_a_programs_processes_are_killed_and_no_others(
    platform: Breakable, fault: str, machine: str, killed: tuple[str, ...], words: str
) -> None:
    damage = ALL[fault].strike(scene_of(platform))
    assert platform.done == [("signal", machine, killed, signal.SIGKILL)]
    assert words in damage.what
    assert damage.hold == 0
    damage.restore()  # whoever looks after them starts them again
    assert len(platform.done) == 1


@pytest.mark.parametrize(
    ("fault", "machines"),
    [
        ("leader-dead", {"postgres-1"}),
        ("standby-dead", {"postgres-3"}),
        ("synchronous-standby-dead", {"postgres-2"}),
        ("etcd-member-dead", {"etcd-2"}),
        ("etcd-leader-dead", {"etcd-1"}),
        ("both-leaders-dead", {"postgres-1", "etcd-1"}),
        ("etcd-down", {"etcd-1", "etcd-2", "etcd-3"}),
        ("etcd-and-replica-down", {"etcd-1", "etcd-2", "etcd-3", "postgres-3"}),
        (
            "all-dead",
            {
                *(f"{kind}-{n}" for kind in ("etcd", "postgres") for n in (1, 2, 3)),
                "load-balancer-1",
            },
        ),
    ],
)
def test_the_power_of_the_right_machines_is_cut_at_the_boot_that_was_seen(
    platform: Breakable, fault: str, machines: set[str]
) -> None:
    damage = ALL[fault].strike(scene_of(platform))
    assert set(platform.done) == {("power_off", name, f"boot of {name}") for name in machines}
    assert platform.off == machines
    platform.done.clear()
    damage.restore()
    started = [words[1] for words in platform.done]
    assert set(started) == machines
    kinds = [str(name).partition("-")[0] for name in started]
    assert kinds == sorted(kinds, key=["etcd", "postgres", "load"].index)


def test_a_machine_that_is_off_is_not_struck(platform: Breakable) -> None:
    platform.off.add("postgres-1")
    with pytest.raises(Refused, match="postgres-1 is off already"):
        ALL["leader-dead"].strike(scene_of(platform))
    assert platform.done == []


def test_etcd_is_away_for_a_minute_and_comes_back(platform: Breakable) -> None:
    assert ALL["etcd-down"].strike(scene_of(platform)).hold == 60


def test_the_leader_is_frozen_and_thawed(platform: Breakable) -> None:
    damage = ALL["leader-frozen"].strike(scene_of(platform))
    assert platform.done == [("freeze", "postgres-1", "boot of postgres-1")]
    damage.restore()
    assert platform.done[1:] == [("thaw", "postgres-1")]
    platform.off.add("postgres-1")  # somebody fenced it meanwhile
    damage.restore()
    assert platform.done[-1] == ("start", "postgres-1")


def test_postgresql_is_frozen_from_the_top(platform: Breakable) -> None:
    damage = ALL["postgres-frozen"].strike(scene_of(platform))
    assert platform.done == [
        ("signal", "postgres-1", ("11:2",), signal.SIGSTOP),
        ("signal", "postgres-1", ("11:2", "12:3"), signal.SIGSTOP),
    ]
    damage.restore()
    assert platform.done[2:] == [("signal", "postgres-1", ("11:2", "12:3"), signal.SIGCONT)]


@pytest.mark.parametrize("end", ["", "-sent", "-received"])
def test_the_leader_is_cut_off_in_each_direction(platform: Breakable, end: str) -> None:
    scene = scene_of(platform)
    peers = {name: scene.machines[name].address for name in scene.etcd}
    damage = ALL[f"cut-etcd{end}"].strike(scene)
    address = scene.machines["postgres-1"].address
    cut = Cut("postgres-1", address, peers, end != "-received", end != "-sent")
    assert platform.done == [("cut", cut)]
    assert damage.hold == 30  # beyond the leader's lease
    damage.restore()
    assert platform.done[1:] == [("mend", "postgres-1")]


def test_the_clock_is_set_ahead_and_right_again(platform: Breakable) -> None:
    damage = ALL["clock-ahead"].strike(scene_of(platform))
    damage.restore()
    assert platform.done == [("step_clock", "postgres-1", 3600), ("set_clock", "postgres-1")]


def test_a_small_file_system_of_its_own_is_filled_and_emptied(platform: Breakable) -> None:
    damage = ALL["disk-full"].strike(scene_of(platform))
    ballast = "/var/lib/postgresql/pgstead-drill-ballast"
    assert platform.done[-1] == ("python3", "postgres-1", ballast)
    damage.restore()
    assert platform.done[-1] == ("rm", "postgres-1", ballast)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("size target\n1000000 /\n1000000 /\n", "shares its file system"),
        ("size target\n99999999999 /data\n1000000 /\n", "more than 10 GiB"),
    ],
)
def test_a_disk_that_others_need_is_not_filled(platform: Breakable, said: str, why: str) -> None:
    platform.said = said
    assert why in (ALL["disk-full"].refused(scene_of(platform)) or "")
    with pytest.raises(Refused, match=why):
        ALL["disk-full"].strike(scene_of(platform))
    assert {words[0] for words in platform.done} == {"df"}


@pytest.mark.parametrize(
    ("failing", "fault", "undone"),
    [
        ("power_off", "leader-dead", ("start", "postgres-1")),
        ("cut", "cut-standbys", ("mend", "postgres-1")),
        ("freeze", "leader-frozen", ("thaw", "postgres-1")),
        ("step_clock", "clock-back", ("set_clock", "postgres-1")),
    ],
)
def test_what_could_only_be_half_done_is_undone(
    platform: Breakable, tmp_path: Path, failing: str, fault: str, undone: tuple[str, ...]
) -> None:
    platform.failing.add(failing)
    notes = tmp_path / "notes"
    with pytest.raises((PlatformError, Refused)):
        ALL[fault].strike(scene_of(platform, notes=notes))
    assert platform.done[-1] == undone
    assert not notes.exists()


@pytest.fixture
def noting(tmp_path: Path) -> Path:
    return tmp_path / "stack" / "broken.json"


BREAKS = sorted(
    ALL.keys() - {"switchover", "postgres-killed", "patroni-killed"} - {"load-balancer-killed"}
)


@pytest.mark.parametrize("fault", BREAKS)
def test_another_process_brings_back_what_one_that_was_killed_left(
    platform: Breakable, noting: Path, fault: str
) -> None:
    damage = ALL[fault].strike(scene_of(platform, notes=noting))
    assert noting.exists()
    platform.done.clear()
    damage.restore()
    wanted = set(platform.done)
    assert not noting.exists()

    ALL[fault].strike(scene_of(platform := Breakable(), notes=noting))
    platform.done.clear()
    words = bring_back(platform, noting)  # type: ignore[arg-type]
    assert set(platform.done) == wanted
    assert words
    assert not noting.exists()
    assert bring_back(platform, noting) == ()  # type: ignore[arg-type]


def test_what_fails_to_come_back_stays_noted(platform: Breakable, noting: Path) -> None:
    damage = ALL["leader-dead"].strike(scene_of(platform, notes=noting))
    platform.failing.add("start")
    with pytest.raises(PlatformError, match="start fails"):
        damage.restore()
    with pytest.raises(PlatformError, match="start fails") as told:
        bring_back(platform, noting)  # type: ignore[arg-type]
    assert str(noting) in (told.value.hint or "")
    platform.failing.clear()
    assert bring_back(platform, noting) == ("postgres-1 had no power",)  # type: ignore[arg-type]


def test_it_is_noted_before_it_is_done(noting: Path) -> None:
    seen: list[bool] = []

    class Watching(Breakable):
        def cut(self, cut: Cut) -> None:
            del cut
            seen.append(noting.exists())

    ALL["cut-etcd"].strike(scene_of(Watching(), notes=noting))
    assert seen == [True]


def test_machines_that_leave_are_not_started_for_it(platform: Breakable, noting: Path) -> None:
    ALL["all-dead"].strike(scene_of(platform, notes=noting))
    ALL["leader-frozen"].strike(scene_of(Breakable(), notes=noting))
    platform.done.clear()
    assert bring_back(platform, noting, leaving=True) == ("postgres-1 was frozen",)  # type: ignore[arg-type]
    assert ("start", "etcd-1") not in platform.done
    assert not noting.exists()


def test_one_machine_that_does_not_start_keeps_no_other_from_it() -> None:
    class Lame(Breakable):
        def start(self, machine: str) -> None:
            super().start(machine)
            if machine == "etcd-1":
                raise PlatformError("etcd-1 is lame")

    platform = Lame()
    with pytest.raises(PlatformError, match="lame"):
        Start((("etcd-1", "etcd-2"), ("postgres-1",))).undo(platform)  # type: ignore[arg-type]
    assert {words[1] for words in platform.done} == {"etcd-1", "etcd-2", "postgres-1"}


def test_every_kind_of_undoing_is_read_as_it_was_written() -> None:
    given = {"machine": "m", "program": "p", "path": "/p", "layers": (("a", "b"), ("c",))}
    for kind in KINDS.values():
        wanted = inspect.signature(kind).parameters
        made = kind(**{name: given[name] for name in wanted})
        assert from_words(to_words(made)) == made
        assert made.words


@pytest.mark.parametrize("text", ["", "{", '[{"kind": "nothing"}]', '[{"kind": "thaw"}]'])
def test_notes_that_cannot_be_read_are_told_of(noting: Path, text: str) -> None:
    noting.parent.mkdir()
    noting.write_text(text)
    with pytest.raises(StateError, match="cannot be read"):
        Notes(noting).all()
