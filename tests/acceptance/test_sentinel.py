"""A leader that is dead or frozen is fenced in seconds; one that Patroni guards is left alone."""

import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from pgstead.clients.etcd import EtcdClient, EtcdError, encoded
from pgstead.engine.lock import lock
from pgstead.operations import sentinel as operation
from pgstead.operations.session import Session, open_session
from pgstead.waiting import wait
from support.ledger import writing
from support.members import members
from support.stack import SMALL, Stack, stack_in

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("sentinel"), pytest.mark.timeout(180)]

SOON = {"dead": 15.0, "frozen": 17.0}
"""Seconds in which writes go on, on a machine that is very busy too: a few else, most of them for
the former leader to come back, since a leader needs a standby. Without a sentinel nobody starts it.
"""


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    with stack_in(folder, "t-sentinel") as made:
        made.write(SMALL)
        made.up()
        yield made


@pytest.fixture
def session(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setenv("HOME", str(stack.folder / "home"))
    stack.becomes_whole()
    with open_session(stack.file) as opened:
        yield opened


def events(stack: Stack) -> list[str]:
    """What was decided and done, the oldest first."""
    found: list[dict[str, Any]] = stack.json("sentinel", str(stack.file), "--events")
    return [one["text"] for one in found if one["kind"] in ("decided", "done", "failed")]


def other_leads(stack: Stack, former: str) -> bool:
    return any(role == "leader" for name, role in stack.roles().items() if name != former)


def fenced(stack: Stack, session: Session, leader: str, strike: str) -> None:
    """Break the leader; another leads soon, no row is lost, and it comes back as a standby."""
    platform = session.platform
    before = len(events(stack))
    with writing(stack.dsn()) as ledger:
        wait(lambda: len(ledger.acknowledged) > 10, deadline=10, what="rows")
        boot = platform.power(leader).boot
        if strike == "dead":
            platform.power_off(leader, boot)
        else:
            platform.breaking().freeze(leader, boot)
        seen = len(ledger.acknowledged)
        wait(lambda: len(ledger.acknowledged) > seen + 10, deadline=30, what="more rows")
        assert ledger.longest_gap < SOON[strike], events(stack)[before:]
    assert other_leads(stack, leader)
    stack.becomes_whole()
    assert stack.roles()[leader] == "quorum standby"
    said = events(stack)[before:]
    assert f"{leader} lost the key" in said
    assert f"{leader} runs again" in said
    assert (f"{leader} is off" in said) == (strike == "frozen")


def test_up_has_started_it_with_an_etcd_user_that_can_do_no_more_than_it_must(
    stack: Stack, session: Session
) -> None:
    assert stack.status()["members"][-1]["role"] == "sentinel"
    assert stack.plan() == {}
    password = session.materials.password("etcd-sentinel")
    etcd = members(stack).etcd
    user = EtcdClient(etcd.endpoints, etcd.tls, "sentinel", password)
    prefix = f"/service/{stack.name}/"
    assert f"{prefix}leader" in {one.key for one in user.range(prefix)}
    for key in (f"{prefix}sync", f"{prefix}leader2", "/pgstead/sentinel/other/acting"):
        with pytest.raises(EtcdError, match="permission denied"):
            user.call("/v3/kv/put", {"key": encoded(key), "value": encoded("x")})
    with pytest.raises(EtcdError, match="permission denied"):
        user.range("/")


def test_a_leader_whose_machine_is_dead(stack: Stack, session: Session) -> None:
    fenced(stack, session, stack.leader(), "dead")


def test_a_leader_that_is_frozen(stack: Stack, session: Session) -> None:
    stack.run("switchover", str(stack.file), "--yes")  # which leaves traces in etcd
    stack.becomes_whole()
    fenced(stack, session, stack.leader(), "frozen")


def test_of_two_one_acts_and_when_it_hangs_the_other_takes_over(
    stack: Stack, session: Session
) -> None:
    first, leader = sentinel(stack), stack.leader()
    watching = f"watches {stack.name}"
    before = told(session, watching)
    second = stack.start("sentinel", str(stack.file))
    try:
        wait(lambda: told(session, watching) > before, deadline=20, what="the second sentinel")
        lost, back = f"{leader} lost the key", f"{leader} runs again"
        seen = told(session, lost), told(session, back)
        first.suspend()  # while it is the one that acts
        session.platform.power_off(leader, session.platform.power(leader).boot)
        wait(lambda: told(session, lost) > seen[0], deadline=30, what="the fencing")
        first.resume()
        wait(lambda: stack.status()["whole"], deadline=60, what="the stack to be whole")
        wait(lambda: told(session, back) > seen[1], deadline=20, what="the sentinel to say so")
        assert other_leads(stack, leader)
        assert (told(session, lost), told(session, back)) == (seen[0] + 1, seen[1] + 1)
    finally:
        first.resume()
        second.send_signal(signal.SIGINT)
        second.communicate(timeout=20)


def told(session: Session, end: str) -> int:
    """How many events of the stack's sentinels end with those words."""
    return sum(one.text.endswith(end) for one in operation.events(session, 10_000))


def test_nothing_is_done_while_patroni_is_paused_or_a_command_works(
    stack: Stack, session: Session
) -> None:
    leader = stack.leader()
    found = members(stack)
    before = events(stack)
    found.api(leader).patch_config({"pause": True})
    wait(lambda: found.api(leader).status().paused, deadline=20, what="the pause")
    session.platform.power_off(leader, session.platform.power(leader).boot)
    wait(lambda: "paused" in last(stack), deadline=10, what="the sentinel to say so")
    assert not other_leads(stack, leader)
    with lock(session.state, "test"):
        session.platform.start(leader)
    standby = next(name for name in stack.roles() if name != leader)
    found.api(standby).patch_config({"pause": None})
    stack.becomes_whole()
    assert events(stack) == before


def last(stack: Stack) -> str:
    said = stack.json("sentinel", str(stack.file), "--events", "-n", "1")
    return str(said[-1]["text"]) if said else ""


def test_one_that_was_killed_is_back_and_one_that_is_not_wanted_goes(stack: Stack) -> None:
    process = sentinel(stack)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    wait(lambda: sentinel(stack).pid != process.pid, deadline=20, what="another")
    stack.write(SMALL, sentinel={"enabled": False})
    stack.up()
    assert [one["role"] for one in stack.status()["members"]].count("sentinel") == 0
    assert not sentinels(stack)


def sentinel(stack: Stack) -> psutil.Process:
    return wait(
        lambda: next(iter(sentinels(stack)), None), deadline=20, what="the sentinel's process"
    )


def sentinels(stack: Stack) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for process in stack.processes():
        with suppress(psutil.NoSuchProcess):  # it ended meanwhile
            if "pgstead.sentinel" in process.cmdline():
                found.append(process)
    return found
