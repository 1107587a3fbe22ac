"""Every fault of a drill, done once to real servers: it does what it says, and can be undone."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

import psutil
import psycopg
import pytest

from pgstead.clusters.groups import api, group
from pgstead.drills.fault import Damage, Scene
from pgstead.drills.faults import ALL
from pgstead.drills.scene import look
from pgstead.errors import ClientError, NotReady
from pgstead.machine import path as machine_path
from pgstead.operations.session import Session
from pgstead.operations.status import status
from pgstead.platforms.breaking import Breakage
from pgstead.platforms.local.control_groups import mounted
from pgstead.reach.base import Finished
from pgstead.run import run
from pgstead.waiting import wait
from support.breakable import DATA, Breakable, Way, scene_of
from support.members import members, processes, session_of
from support.stack import QUICKSTART, Stack, stack_in

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("faults"), pytest.mark.timeout(180)]

WHOLE_SECONDS = 60.0
SOON = 15.0


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    with stack_in(folder, "t-faults") as made:
        made.write(QUICKSTART, sentinel={"enabled": False})  # it would act on what is done here
        made.up()
        yield made


@pytest.fixture(scope="module")
def session(stack: Stack) -> Iterator[Session]:
    with session_of(stack) as opened:
        yield opened


@pytest.fixture
def scene(session: Session) -> Iterator[Scene]:
    """The cluster, whole; it has to be so again after the test."""
    await_whole(session)
    yield look(session.platform, group(session.machines), session.broken)
    assert not session.broken.exists()


@pytest.fixture
def led(session: Session) -> Scene:
    """The cluster as soon as somebody leads it: what a loss of power needs."""

    def seen() -> Scene | None:
        with suppress(ClientError, NotReady):
            found = look(session.platform, group(session.machines), session.broken)
            return found if found.etcd_leader else None
        return None

    return wait(seen, deadline=WHOLE_SECONDS, what="leaders")


def await_whole(session: Session) -> None:
    def why() -> str:
        return "; ".join(status(session).problems)

    whole = "the stack to be whole"
    wait(lambda: status(session).whole, deadline=WHOLE_SECONDS, what=whole, error=why)


@contextmanager
def struck(fault: str, scene: Scene) -> Iterator[Damage]:
    assert ALL[fault].refused(scene) is None
    damage = ALL[fault].strike(scene)
    try:
        yield damage
    finally:
        damage.restore()
        damage.restore()  # a second time does no harm


def states(stack: Stack, machine: str, program: str) -> dict[int, str]:
    """The state of a machine's processes of that name, by id; PostgreSQL's hide their machine."""
    place, known = str(stack.machine(machine)), processes(stack, machine)
    found: dict[int, str] = {}
    for one in stack.processes():
        with suppress(psutil.Error):  # a backend's life may be short
            if one.name() == program and (one.pid in known or one.cwd().startswith(f"{place}/")):
                found[one.pid] = one.status()
    return found


def named(stack: Stack, machine: str, program: str) -> set[int]:
    return set(states(stack, machine, program))


def frozen(stack: Stack, machine: str, program: str) -> bool:
    """Whether all of them stand still; one alone that does would be none of either."""
    found = set(states(stack, machine, program).values())
    assert found == {psutil.STATUS_STOPPED} or psutil.STATUS_STOPPED not in found
    return psutil.STATUS_STOPPED in found


def test_what_cannot_be_done_here_is_refused_with_the_reason(scene: Scene) -> None:
    refused = {name: why for name, one in ALL.items() if (why := one.refused(scene))}
    cut = scene.platform.breaking().cannot(Breakage.CUT, scene.leader)
    assert {name for name in refused if not (cut and name.startswith("cut-"))} == {
        "clock-ahead",
        "clock-back",
        "disk-full",
    }
    assert "shares its file system" in refused["disk-full"]


@pytest.mark.parametrize(("program", "spared"), [("postgres", "patroni"), ("patroni", "postgres")])
def test_a_program_is_killed_whole_alone_and_comes_back(
    stack: Stack, session: Session, scene: Scene, program: str, spared: str
) -> None:
    machine = scene.leader
    before, others = named(stack, machine, program), named(stack, machine, spared)
    with struck(f"{program}-killed", scene) as damage:
        # First of all, since it comes back; but what Patroni says of its cluster is a second old.
        wait(lambda: not status(session).whole, deadline=SOON, what="the news of it")
        wait(lambda: not before & named(stack, machine, program), deadline=5, what="their end")
        assert others & named(stack, machine, spared)
        assert f"on {machine}" in damage.what
    wait(lambda: named(stack, machine, program), deadline=SOON, what=f"{program} to come back")


def test_a_load_balancer_is_killed_whole_and_comes_back(stack: Stack, scene: Scene) -> None:
    machine = scene.load_balancers[0]
    before = named(stack, machine, "haproxy")
    with struck("load-balancer-killed", scene):
        wait(lambda: not before & named(stack, machine, "haproxy"), deadline=5, what="their end")
    wait(lambda: named(stack, machine, "haproxy"), deadline=SOON, what="HAProxy to come back")


@pytest.mark.parametrize(
    "fault",
    [
        "synchronous-standby-dead",
        "standby-dead",
        "etcd-member-dead",
        "etcd-leader-dead",
        "leader-dead",
        "both-leaders-dead",
        "etcd-and-replica-down",
        "etcd-down",
        "all-dead",
    ],
)
def test_machines_without_power_stay_off_until_they_are_started(
    stack: Stack, led: Scene, fault: str
) -> None:
    platform = led.platform
    with struck(fault, led) as damage:
        off = {name for name in led.machines if not platform.power(name).on}
        assert off == set(damage.what.removeprefix("cut the power of ").split(", "))
        assert not any(processes(stack, name) for name in off)
    assert all(platform.power(name).on for name in led.machines)


def test_a_frozen_leader_is_replaced_and_goes_on_as_a_standby(stack: Stack, scene: Scene) -> None:
    with struck("leader-frozen", scene):
        assert frozen(stack, scene.leader, "patroni")
        assert frozen(stack, scene.leader, "postgres")
        assert scene.platform.power(scene.leader).on
    assert not frozen(stack, scene.leader, "patroni")


def test_postgresql_alone_is_frozen(stack: Stack, scene: Scene) -> None:
    with struck("postgres-frozen", scene):
        # A process at a write to disk stands still once that is done.
        still = {psutil.STATUS_STOPPED}
        wait(
            lambda: set(states(stack, scene.leader, "postgres").values()) == still,
            deadline=SOON,
            what="all of it to stand still",
        )
        assert not frozen(stack, scene.leader, "patroni")
    assert not frozen(stack, scene.leader, "postgres")


def test_a_switchover_changes_the_leader(scene: Scene) -> None:
    with struck("switchover", scene):
        after = look(scene.platform, scene.groups)
        assert after.leader in scene.synchronous  # Patroni chooses among them
        assert after.leader != scene.leader


needs_cutting = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("nft") is None, reason="takes root and the package nftables"
)


def lost(table: str) -> list[int]:
    """How many packets each rule of the stack's table has lost."""
    said = run(["nft", "-j", "list", "ruleset"]).stdout
    found = [one["rule"] for one in json.loads(said)["nftables"] if "rule" in one]
    rules = [one for one in found if (one["table"], one["chain"]) == (table, "lost")]
    return [
        each["counter"]["packets"] for one in rules for each in one["expr"] if "counter" in each
    ]


def tables() -> str:
    return run(["nft", "list", "tables"]).stdout


ALSO_SEEN = ("cut-etcd", "cut-load-balancer", "cut-standbys-sent")
"""What others see of these is another test's."""


@needs_cutting
@pytest.mark.parametrize(
    "fault", [name for name in ALL if name.startswith("cut-") and name not in ALSO_SEEN]
)
def test_packets_are_lost_in_each_direction(stack: Stack, scene: Scene, fault: str) -> None:
    identity = stack.root.name.rpartition("-")[2]
    table, root = f"pgstead_{identity}", mounted()
    assert root
    with struck(fault, scene):
        assert table in tables()
        assert (root / f"pgstead-{identity}").is_dir()
        wait(lambda: any(lost(table)), deadline=SOON, what="packets to get lost")
        assert len(lost(table)) == (2 if fault.endswith(("sent", "received")) else 4)
    assert table not in tables()
    assert not (root / f"pgstead-{identity}").exists()


@needs_cutting
def test_only_the_leader_is_cut_off_from_etcd(scene: Scene) -> None:
    patroni = scene.scope.members

    def seen(machine: str) -> int:
        return api(patroni[machine]).status().dcs_last_seen

    with struck("cut-etcd", scene):
        before = seen(scene.leader)  # only now: to cut it off takes a while
        follower = scene.standbys[0]
        wait(lambda: seen(follower) > before + 4, deadline=SOON, what="a standby to see etcd")
        assert seen(scene.leader) <= before + 2


@needs_cutting
def test_the_load_balancer_sees_the_leader_no_more(stack: Stack, scene: Scene) -> None:
    found = members(stack)
    with struck("cut-load-balancer", scene):
        wait(lambda: not found.up("primary"), deadline=SOON, what="HAProxy to find nobody")
        assert api(scene.scope.members[scene.leader]).leads()
        standbys = len(scene.standbys)
        wait(lambda: len(found.up("read_only")) == standbys, deadline=SOON, what="standbys")


@needs_cutting
def test_writes_wait_for_standbys_that_hear_nothing(stack: Stack, scene: Scene) -> None:
    with (
        psycopg.connect(stack.dsn(), autocommit=True) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        with struck("cut-standbys-sent", scene):
            write = pool.submit(client.execute, "CREATE TABLE confirmed (id int)")
            with pytest.raises(TimeoutError):
                write.result(2)
        write.result(SOON)


def test_up_brings_back_what_a_killed_drill_left(stack: Stack, scene: Scene) -> None:
    ALL["leader-frozen"].strike(scene)
    problems = stack.status()["problems"]
    assert any("a drill was killed and left its damage" in each for each in problems), problems
    done = stack.run("up", str(stack.file), "--yes").stderr
    assert f"left this broken: {scene.leader} was frozen" in " ".join(done.split())
    assert not frozen(stack, scene.leader, "postgres")
    stack.becomes_whole()


@pytest.fixture
def small_disk(own_folder: Path) -> Iterator[Path]:
    place = own_folder / "disk"
    place.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=16m", "pgstead-test", place])
    try:
        yield place
    finally:
        run(["umount", place])


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to mount a file system")
def test_a_disk_is_filled_to_the_last_block_and_emptied(small_disk: Path) -> None:
    class Real(Breakable):
        """Its ways into machines are programs of this one, where the data is on that disk."""

        def reach(self, machine: str) -> Way:
            return cast(Way, RealWay(self, machine))

    class RealWay(Way):
        def run(self, argv: Sequence[str], *, timeout: float = 60.0) -> Finished:
            places = {machine_path(DATA): str(small_disk), machine_path("/"): "/"}
            done = run([places.get(one, one) for one in argv], timeout=timeout, check=False)
            return Finished(done.code, done.stdout, done.stderr)

    scene = scene_of(Real())
    assert ALL["disk-full"].refused(scene) is None
    damage = ALL["disk-full"].strike(scene)
    assert os.statvfs(small_disk).f_bavail == 0
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "row").write_bytes(bytes(8192))
    damage.restore()
    (small_disk / "row").write_bytes(bytes(8192))
    assert [path.name for path in small_disk.iterdir()] == ["row"]
