"""The sums: no measured outage is longer, and each setting moves what it should."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pgstead.drills.faults import ALL
from pgstead.timings.settings import Settings
from pgstead.timings.worst_case import FAULTS, outage_of_a_dead_leader, worst_cases

Clock = Callable[..., Settings]
Tree = dict[str, Any]

QUORUM: Tree = {"postgres": {"members": 3}}
NAMED: Tree = {"postgres": {"members": 3, "synchronous": {"mode": "on"}}}

_SEED: Tree = {
    "ttl": 60,
    "loop_wait": 5,
    "retry_timeout": 10,
    "primary_start_timeout": 300,
    "failsafe_mode": False,
    "connect": "3s",
    "idle": "30m",
    "checks": {
        "inter": "1s",
        "fastinter": "1s",
        "downinter": "1s",
        "fall": 1,
        "rise": 1,
        "shutdown_sessions_on_marked_down": False,
    },
}
_DEFAULT: Tree = {
    "ttl": 30,
    "loop_wait": 10,
    "retry_timeout": 10,
    "primary_start_timeout": 300,
    "failsafe_mode": False,
    "connect": "3s",
    "idle": "30m",
    "checks": {"inter": "3s", "fastinter": "3s", "downinter": "3s", "fall": 3, "rise": 2},
}
_TUNED: Tree = {
    "loop_wait": 2,
    "connect": "3s",
    "idle": "30m",
    "checks": {"inter": "1s", "fastinter": "500ms", "downinter": "500ms", "fall": 2},
}
SETS: dict[str, Tree] = {"seed": _SEED, "default": _DEFAULT, "tuned": _TUNED, "fast": {}}
"""The four sets that were measured on real servers: 157 fault runs in all."""

MEASURED = [
    ("postgres-killed", "seed", 7.2),
    ("postgres-killed", "default", 11.0),
    ("postgres-killed", "tuned", 6.3),
    ("postgres-killed", "fast", 3.2),
    ("leader-dead", "seed", 56.9),
    ("leader-dead", "default", 32.6),
    ("leader-dead", "tuned", 20.2),
    ("leader-dead", "fast", 20.5),
    ("both-leaders-dead", "seed", 63.1),
    ("both-leaders-dead", "tuned", 23.8),
    ("both-leaders-dead", "fast", 23.3),
    ("switchover", "seed", 4.4),
    ("switchover", "default", 7.8),
    ("switchover", "tuned", 4.7),
    ("switchover", "fast", 4.5),
    ("leader-frozen", "seed", 100.0),
    ("leader-frozen", "default", 35.1),
    ("leader-frozen", "tuned", 21.9),
    ("leader-frozen", "fast", 22.6),
    ("postgres-frozen", "tuned", 21.6),
    ("etcd-leader-dead", "tuned", 0.0),
    ("etcd-member-dead", "fast", 0.0),
    ("etcd-down", "seed", 50.0),
    ("etcd-down", "default", 48.8),
    ("etcd-down", "tuned", 0.0),
    ("etcd-and-replica-down", "fast", 53.4),
    ("synchronous-standby-dead", "seed", 1.2),
    ("synchronous-standby-dead", "default", 8.8),
    ("synchronous-standby-dead", "tuned", 1.6),
    ("synchronous-standby-dead", "fast", 1.2),
    ("patroni-killed", "fast", 1.6),
    ("load-balancer-killed", "tuned", 0.7),
]
"""The longest outage measured, in seconds, with certain members confirming writes."""


@pytest.mark.parametrize(("fault", "name", "seconds"), MEASURED)
def test_nothing_measured_took_longer(fault: str, name: str, seconds: float, clock: Clock) -> None:
    found = worst_cases(clock(SETS[name], **NAMED))[fault].seconds
    assert found is not None
    assert found >= seconds


def test_a_patroni_that_stays_down_costs_what_a_dead_machine_does(clock: Clock) -> None:
    longest = {"seed": 58.0, "default": 24.6, "tuned": 19.7, "fast": 19.9}
    for name, seconds in longest.items():
        assert outage_of_a_dead_leader(clock(SETS[name])) >= seconds


def test_the_bounds_are_no_guesses_far_off(clock: Clock) -> None:
    """Within 6 s of the longest measured, where the lease is all that is waited for."""
    assert worst_cases(clock())["leader-dead"].seconds == 26.0
    assert worst_cases(clock())["postgres-killed"].seconds == 4.5


def test_every_fault_has_a_bound_or_says_what_ends_it(clock: Clock) -> None:
    found = worst_cases(clock(SETS["seed"]))
    assert list(found) == list(FAULTS)
    for bound in found.values():
        assert bound.reason
        assert (bound.seconds is None) == (bound.endless is not None)
        assert all(term.words and term.source and term.seconds >= 0 for term in bound.terms)


@pytest.mark.parametrize("set_", [{"ttl": 25}, {"loop_wait": 4}, {"checks": {"downinter": "3s"}}])
def test_what_is_longer_costs_more(set_: Tree, clock: Clock) -> None:
    assert outage_of_a_dead_leader(clock(set_)) > outage_of_a_dead_leader(clock())


def test_a_session_that_is_not_cut_hangs_until_it_is_idle_for_too_long(clock: Clock) -> None:
    uncut = {"checks": {"shutdown_sessions_on_marked_down": False}, "idle": "2h"}
    found = worst_cases(clock(uncut))
    assert found["leader-frozen"].seconds == 7200
    assert found["leader-dead"].seconds == 924.6
    soon = worst_cases(clock({**uncut, "balancer_tcp": {"user_timeout": 30_000}}))
    assert soon["leader-dead"].seconds == 30
    assert soon["leader-frozen"].seconds == 7200


def test_a_balancer_slower_than_the_lease_is_what_is_waited_for(clock: Clock) -> None:
    slow = {"connect": "1s", "checks": {"inter": "20s", "timeout": "10s", "fall": 3}}
    reason = worst_cases(clock(slow))["leader-dead"].reason
    assert reason.startswith("53.6 s the load balancer marks the old one down")


def test_without_a_balancer_clients_find_the_primary_themselves(clock: Clock) -> None:
    found = worst_cases(clock({}, load_balancer={"members": 0}))
    assert found["leader-dead"].seconds == 25.5
    assert found["load-balancer-killed"].seconds == 0
    assert found["cut-load-balancer"].seconds == 0


def test_quorum_replication_does_not_notice_a_lost_standby(clock: Clock) -> None:
    assert worst_cases(clock({}, **QUORUM))["synchronous-standby-dead"].seconds == 0
    named = worst_cases(clock({}, **NAMED))
    assert named["synchronous-standby-dead"].seconds == 7
    assert named["standby-dead"].seconds == 0


def test_the_last_standby_of_a_strict_pair_is_waited_for(clock: Clock) -> None:
    pair = worst_cases(clock({}, postgres={"members": 2}))["standby-dead"]
    assert pair.seconds is None
    assert "strict" in pair.reason
    loose = {"postgres": {"members": 2, "synchronous": {"strict": False}}}
    assert worst_cases(clock({}, **loose))["standby-dead"].seconds == 7
    alone = {"postgres": {"members": 2, "synchronous": False}}
    assert worst_cases(clock({}, **alone))["standby-dead"].seconds == 0


def test_a_pair_switches_over_once_the_former_leader_is_back_to_confirm(clock: Clock) -> None:
    pair = worst_cases(clock({}, postgres={"members": 2}))["switchover"]
    assert pair.seconds == 8
    assert "former leader" in pair.reason
    loose = {"postgres": {"members": 2, "synchronous": {"strict": False}}}
    assert worst_cases(clock({}, **loose))["switchover"].seconds == 6.5
    assert worst_cases(clock())["switchover"].seconds == 6.5


def test_nobody_takes_over_from_a_member_alone(clock: Clock) -> None:
    found = worst_cases(clock({}, postgres={"members": 1}))
    assert found["leader-dead"].seconds is None
    assert "no standby" in found["switchover"].reason
    assert found["postgres-killed"].seconds is not None
    assert found["standby-dead"].seconds == 0


def test_an_election_longer_than_the_retries_takes_the_leader_down(clock: Clock) -> None:
    late = {"failsafe_mode": False, "etcd": {"election_timeout": 5000}}
    assert worst_cases(clock(late))["etcd-leader-dead"].seconds == pytest.approx(18.5)
    assert worst_cases(clock({"etcd": {"election_timeout": 5000}}))["etcd-leader-dead"].seconds == 0


def test_two_etcd_members_bear_the_loss_of_none(clock: Clock) -> None:
    timings = {"failsafe_mode": False}
    found = worst_cases(clock(timings, etcd={"members": 2}))["etcd-member-dead"].seconds
    assert found is not None
    assert found > 60
    assert worst_cases(clock(timings))["etcd-member-dead"].seconds == 0


def test_a_leader_cut_from_etcd_leads_on_in_failsafe_mode_only(clock: Clock) -> None:
    assert worst_cases(clock())["cut-etcd"].seconds == 0
    found = worst_cases(clock({"failsafe_mode": False}))["cut-etcd"]
    assert found.seconds == 26


def test_a_clock_costs_something_only_when_it_is_set_back(clock: Clock) -> None:
    found = worst_cases(clock())
    assert found["clock-ahead"].seconds == 0
    assert found["clock-back"].seconds == found["leader-frozen"].seconds
    assert "set back" in found["clock-back"].reason


def test_the_faults_are_those_of_the_drill() -> None:
    assert set(FAULTS) == set(ALL)


def test_no_patroni_no_bounds() -> None:
    assert worst_cases(Settings()) == {}
