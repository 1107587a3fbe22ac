"""What is read from etcd."""

import json
from typing import Any

import pytest

from pgstead.clients.etcd import KeyValue
from pgstead.errors import ClientError
from pgstead.sentinel.keys import parse
from pgstead.sentinel.observation import LeaderKey, Mode, Sync

CONFIG = {"ttl": 20, "loop_wait": 1, "synchronous_mode": "quorum", "failsafe_mode": True}
SYNC = {"leader": "a", "sync_standby": "b, c", "quorum": 1}


def keys(**values: Any) -> dict[str, KeyValue]:
    """Keys as Patroni writes them; a mapping or a list becomes JSON."""
    given = {"config": CONFIG, **values}
    return {
        name: KeyValue(name, value if isinstance(value, str) else json.dumps(value), 7, 12)
        for name, value in given.items()
        if value is not None
    }


def test_everything_of_a_healthy_cluster() -> None:
    history = [[1, 100, "no recovery target"], [2, 200, "..."]]
    found = parse(
        keys(leader="a", sync=SYNC, failsafe={"a": "url", "b": "url"}, history=history),
        {"acting": KeyValue("acting", "me", 1), "fenced/machine": KeyValue("", "boot", 1)},
    )
    assert found.leader == LeaderKey("a", 7, 12)
    assert found.sync == Sync("a", ("b", "c"), 1)
    assert found.mode is Mode.QUORUM
    assert found.failsafe == frozenset({"a", "b"})
    assert found.timeline == 3
    assert found.loop_wait == 1
    assert (found.paused, found.failover, found.resting) == (False, False, False)
    assert found.acting == "me"
    assert found.fenced == {"machine": "boot"}


def test_what_is_not_there() -> None:
    found = parse(keys(), {})
    assert (found.leader, found.sync, found.failsafe) == (None, None, None)
    assert (found.timeline, found.acting, found.fenced) == (0, "", {})


@pytest.mark.parametrize("said", ["{", "[]", "{}", {"leader": ""}, {"leader": "a", "quorum": "x"}])
def test_a_synchronous_state_that_says_nothing(said: Any) -> None:
    assert parse(keys(sync=said), {}).sync is None


@pytest.mark.parametrize(
    ("said", "mode"),
    [
        (True, Mode.SYNCHRONOUS),
        ("on", Mode.SYNCHRONOUS),
        ("quorum", Mode.QUORUM),
        (False, Mode.ASYNCHRONOUS),
        (None, Mode.ASYNCHRONOUS),
    ],
)
def test_how_it_replicates(said: Any, mode: Mode) -> None:
    assert parse(keys(config={**CONFIG, "synchronous_mode": said}), {}).mode is mode


@pytest.mark.parametrize("said", [True, "on", "true"])
def test_a_pause(said: Any) -> None:
    assert parse(keys(config={**CONFIG, "pause": said}), {}).paused


def test_a_switchover_that_is_asked_for_and_one_that_is_done() -> None:
    assert parse(keys(failover={"leader": "a", "member": "b"}), {}).failover
    assert parse(keys(failover="a:b"), {}).failover  # as older ones wrote it
    assert not parse(keys(failover=""), {}).failover
    assert not parse(keys(failover={}), {}).failover


@pytest.mark.parametrize("config", [None, "{", "[]"])
def test_without_its_configuration_nobody_knows_whether_patroni_is_paused(config: Any) -> None:
    with pytest.raises(ClientError, match="dynamic configuration"):
        parse(keys(config=config), {})
