"""What is unsafe is refused in a cluster, with the rule and its source; a module is warned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from pgstead.errors import SpecError
from pgstead.spec import from_tree
from pgstead.spec.timings import Timings
from pgstead.timings.catalogue import BY_KEY, CATALOGUE
from pgstead.timings.rules import findings, unsafe
from pgstead.timings.settings import Settings
from pgstead.timings.warnings import sentences

Clock = Callable[..., Settings]
Tree = dict[str, Any]


def refusal(timings: Tree) -> str:
    tree = {"name": "x", "cluster": {"timings": timings}}
    with pytest.raises(SpecError) as caught:
        from_tree(tree, folder=Path("/nowhere"), environ={})
    return caught.value.message


@pytest.mark.parametrize(
    ("timings", "field", "words", "source"),
    [
        ({"ttl": 19}, "ttl", "must be at least 20, given 19", "patroni.readthedocs.io"),
        ({"ttl": 24, "retry_timeout": 12}, "ttl", "1 + 2 x 12 = 25, given 24", "patroni."),
        (
            {"watchdog": {"safety_margin": 0}},
            "watchdog.safety_margin",
            "fire after the lease's end",
            "watchdog.html",
        ),
        (
            {"etcd": {"heartbeat_interval": 101}},
            "etcd.election_timeout",
            "5 x heartbeat_interval = 505 ms, given 500",
            "etcd.io",
        ),
        (
            {"etcd": {"round_trip": "51ms"}},
            "etcd.election_timeout",
            "10 x round_trip = 510 ms, given 500",
            "etcd.io",
        ),
        ({"idle": "599s"}, "idle", "must be at least 10m, given 599s", "PgBouncer"),
    ],
)
def test_an_unsafe_set_is_refused(timings: Tree, field: str, words: str, source: str) -> None:
    message = refusal(timings)
    assert f"cluster.timings.{field}: must be" in message
    assert words in message
    assert source in message


@pytest.mark.parametrize(
    "timings",
    [
        {"ttl": 25, "retry_timeout": 12},
        {"watchdog": {"safety_margin": 1}},
        {"watchdog": {"safety_margin": 0, "mode": "off"}},
        {"etcd": {"heartbeat_interval": 203, "election_timeout": 1015}},
        {"etcd": {"round_trip": "50ms"}},
        {"idle": "10m"},
    ],
)
def test_what_just_holds_is_taken(timings: Tree, clock: Clock) -> None:
    assert list(unsafe(clock(timings))) == []


def test_several_are_told_at_once() -> None:
    message = refusal({"ttl": 5, "idle": "1s"})
    assert len(message.splitlines()) == 2


def test_a_margin_for_no_watchdog_is_nobodys_business(clock: Clock) -> None:
    timings = {"watchdog": {"safety_margin": 0, "mode": "off"}}
    assert list(unsafe(clock(timings, postgres={"watchdog": "off"}))) == []


@pytest.mark.parametrize(
    ("timings", "words"),
    [
        ({"ttl": 60}, "patroni.ttl is 60 s: a dead primary"),
        ({"primary_start_timeout": 30}, "patroni.master_start_timeout is 30 s"),
        ({"failsafe_mode": False}, "patroni.failsafe_mode is off"),
        ({"checks": {"fall": 1}}, "haproxy.checks.fall is 1: a single"),
        (
            {"checks": {"shutdown_sessions_on_marked_down": False}},
            "haproxy.checks.shutdown_sessions_on_marked_down is false",
        ),
        (
            {"connect": "1s", "checks": {"inter": "12s", "fall": 3}},
            "haproxy.checks.fall is 3: a silent primary",
        ),
        (
            {"failsafe_mode": False, "etcd": {"election_timeout": 4000}},
            "etcd.election_timeout is 4000 ms: an election may take twice as long, 8 s",
        ),
        ({"loop_wait": 11, "retry_timeout": 4}, "patroni.watchdog_safety_margin is -1"),
    ],
)
def test_what_hurts_is_a_caution_and_no_refusal(timings: Tree, words: str, clock: Clock) -> None:
    settings = clock(timings)
    assert list(unsafe(settings)) == []
    assert any(words in sentence for sentence in sentences(settings))


def test_the_default_is_nothing_to_warn_about(clock: Clock) -> None:
    assert list(findings(clock())) == []


def test_a_part_that_is_not_there_breaks_no_rule(clock: Clock) -> None:
    settings = clock({"failsafe_mode": False, "etcd": {"election_timeout": 4000}})
    assert [one.key for one in findings(replace(settings, etcd=None))] == ["patroni.failsafe_mode"]
    assert list(findings(Settings())) == []


def test_what_waits_for_the_environment_is_judged_later() -> None:
    tree = {"name": "x", "cluster": {"timings": {"idle": "${env:IDLE}"}}}
    from_tree(tree, folder=Path("/nowhere"), environ={"IDLE": "24h"})


def test_the_catalogue_knows_every_setting_once(clock: Clock) -> None:
    settings = clock()
    fields = {
        f"{part}.{name}"
        for part in ("patroni", "server", "etcd", "balancer", "client")
        for name in type(getattr(settings, part)).__dataclass_fields__
    }
    assert set(BY_KEY) == fields - {"etcd.members"}
    assert len(CATALOGUE) == len(BY_KEY)


def test_every_timing_of_a_cluster_is_in_the_catalogue() -> None:
    def leaves(model: type[BaseModel], path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
        found: set[tuple[str, ...]] = set()
        for name, field in model.model_fields.items():
            kind = field.annotation
            below = isinstance(kind, type) and issubclass(kind, BaseModel)
            found |= leaves(kind, (*path, name)) if below else {(*path, name)}  # type: ignore[arg-type]
        return found

    assert {one.cluster for one in CATALOGUE} == leaves(Timings) - {("target",)}
