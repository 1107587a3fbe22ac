"""Targets: sets by name, the calmest set for an outage, and what is given beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pgstead.errors import SpecError
from pgstead.modules.base import Context, Facts
from pgstead.modules.build import build
from pgstead.modules.fake import FakeMaterials
from pgstead.spec import Stack, expand, from_tree, loads
from pgstead.spec.timing_settings import settings_of
from pgstead.spec.timings import Timings
from pgstead.timings.rules import unsafe
from pgstead.timings.settings import Settings
from pgstead.timings.targets import LEAST_TTL, LONGEST_TTL, TARGETS, calmest, merged
from pgstead.timings.worst_case import outage_of_a_dead_leader

Clock = Callable[..., Settings]


def timings(**given: Any) -> Timings:
    return Timings.model_validate(given)


def refusal(**given: Any) -> str:
    tree = {"name": "x", "cluster": {"timings": given}}
    with pytest.raises(SpecError) as caught:
        from_tree(tree, folder=Path("/nowhere"), environ={})
    return caught.value.message


def test_fast_is_the_default() -> None:
    assert timings(target="fast") == timings().model_copy(update={"target": "fast"})


@pytest.mark.parametrize("target", TARGETS)
def test_every_set_is_safe_and_no_other_key_is_in_it(target: str, clock: Clock) -> None:
    assert list(unsafe(clock({"target": target}))) == []
    timings(**TARGETS[target])


def test_the_sets_are_what_they_say(clock: Clock) -> None:
    patroni = clock({"target": "patroni"}).patroni
    assert patroni is not None
    assert (patroni.ttl, patroni.loop_wait, patroni.retry_timeout) == (30, 10, 10)
    seeds = clock({"target": "seeds"})
    assert seeds.patroni is not None
    assert (seeds.patroni.ttl, seeds.patroni.primary_stop_timeout) == (60, 300)
    assert seeds.balancer is not None
    assert not seeds.balancer.shutdown_sessions
    slow = clock({"target": "slow"})
    assert slow.etcd is not None
    assert (slow.etcd.heartbeat_interval, slow.etcd.election_timeout) == (0.5, 5)


def test_what_is_given_beside_a_target_wins() -> None:
    made = timings(target="slow", ttl=50, checks={"fall": 7}, etcd=None)
    assert (made.ttl, made.loop_wait) == (50, 5)
    assert (made.checks.fall, made.checks.inter) == (7, "3s")
    assert made.etcd.election_timeout == 5000  # a section with an empty body says nothing


def test_an_outage_gets_the_longest_lease_that_keeps_it(clock: Clock) -> None:
    made = timings(target="40s")
    assert outage_of_a_dead_leader(clock({"target": "40s"})) <= 40
    longer = {**calmest(made.ttl + 1)}
    assert outage_of_a_dead_leader(clock(longer)) > 40


def test_a_lease_that_is_given_has_what_belongs_to_it() -> None:
    made = timings(target="40s", ttl=31)
    assert (made.ttl, made.loop_wait, made.retry_timeout) == (31, 2, 10)


def test_slower_checks_leave_less_for_the_lease() -> None:
    assert timings(target="40s", checks={"downinter": "5s"}).ttl < timings(target="40s").ttl


def test_the_least_outage_is_that_of_the_fastest_set(clock: Clock) -> None:
    least = outage_of_a_dead_leader(clock())
    made = timings(target=f"{round(least * 1000)}ms")
    assert made == timings().model_copy(update={"target": made.target})


def test_less_than_that_is_refused_with_the_figure() -> None:
    message = refusal(target="25s")
    assert "cluster.timings.target: 25 s cannot be kept" in message
    assert "up to 26 s" in message
    assert "sentinel" in message


def test_single_settings_that_break_the_target_are_refused() -> None:
    assert "30 s cannot be kept" in refusal(target="30s", ttl=40)


def test_a_member_alone_keeps_no_time() -> None:
    cluster = {"timings": {"target": "40s"}, "postgres": {"members": 1}}
    with pytest.raises(SpecError, match="40 s cannot be kept: there is no standby"):
        from_tree({"name": "x", "cluster": cluster}, folder=Path("/nowhere"), environ={})


def test_no_such_target() -> None:
    assert "must be one of fast, patroni, seeds, slow, or a time such as 30s" in refusal(target="x")
    assert "cluster.timings.target" in refusal(target=30)


def test_what_is_wrong_beside_a_target_is_told() -> None:
    assert "cluster.timings.checks.fall" in refusal(target="40s", checks={"fall": "x"})


@hypothesis_settings(max_examples=40, deadline=None, database=None)
@given(st.integers(LEAST_TTL, LONGEST_TTL))
def test_every_lease_makes_a_safe_set(ttl: int) -> None:
    tree = {"name": "x", "cluster": {"timings": calmest(ttl)}}
    made = from_tree(tree, folder=Path("/nowhere"), environ={})
    assert made.cluster is not None
    settings = settings_of(made.cluster)
    assert list(unsafe(settings)) == []


def test_leases_only_get_longer_with_the_outage() -> None:
    found = [timings(target=f"{seconds}s").ttl for seconds in range(26, 320, 7)]
    assert found == sorted(found)
    assert found[0] == LEAST_TTL


def test_merging_changes_neither() -> None:
    base = {"a": 1, "b": {"c": 2, "d": 3}}
    assert merged(base, {"b": {"c": 4}, "e": 5}) == {"a": 1, "b": {"c": 4, "d": 3}, "e": 5}
    assert base == {"a": 1, "b": {"c": 2, "d": 3}}


def _stack(text: str) -> Stack:
    return loads(f"name: x\ncluster: {{timings: {text}}}\n", folder=Path("/nowhere"), environ={})


@pytest.mark.parametrize(
    "text",
    [
        "{target: slow}",
        "{target: seeds}",
        "{target: 50s, watchdog: {mode: automatic, safety_margin: 5}}",
        "{balancer_tcp: {user_timeout: 9000}, client: {connect_timeout: 3, user_timeout: 8000}}",
    ],
)
def test_modules_are_read_back_as_the_same_settings(text: str) -> None:
    """The two ways to the plain settings, from a cluster and from its modules, agree."""
    stack = _stack(text)
    assert stack.cluster is not None
    expanded = loads(expand(stack), folder=Path("/nowhere"), environ={})
    (found,) = build(expanded, Context(Facts("local"), FakeMaterials())).timings
    expected = settings_of(stack.cluster)
    assert expected.etcd is not None
    etcd = replace(expected.etcd, round_trip=None)
    assert found.settings == replace(expected, etcd=etcd)
    assert found.scope == "x"
    assert found.modules["balancer"] == "load-balancer-1"
