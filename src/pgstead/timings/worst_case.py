"""How long writes stop at most, by fault of `pgstead drill`.

The client is one that reconnects at once. A formula is as good as its assumptions, which stand
in `steps`; docs/timings.md compares them to what was measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from pgstead.timings import steps
from pgstead.timings.bounds import Bound, Term, no_outage, total, until
from pgstead.timings.settings import Etcd, Patroni, Replication, Server, Settings

KERNEL_GIVES_UP = 924.6
"""Seconds until Linux gives up on data that nobody acknowledges, where no setting says
otherwise: tcp_retries2 is 15 (the kernel's ip-sysctl documentation)."""

OUTAGE = 60.0
"""Seconds that the drill keeps all of etcd down."""


ALONE = until("until the machine is back: there is no standby that could take over")

NEED_A_STANDBY = frozenset(
    ("leader-dead", "leader-frozen", "postgres-frozen", "both-leaders-dead", "switchover")
)


def worst_cases(settings: Settings) -> Mapping[str, Bound]:
    """The bound for each fault, by its name; empty for a stack without Patroni."""
    if settings.patroni is None:
        return {}
    patroni = settings.patroni
    alone = settings.replication is not None and settings.replication.members == 1
    return {
        fault: ALONE if alone and fault in NEED_A_STANDBY else formula(settings, patroni)
        for fault, formula in FAULTS.items()
    }


def outage_of_a_dead_leader(settings: Settings) -> float:
    """The figure that a target in seconds is about; infinite where nobody takes over."""
    found = worst_cases(settings)["leader-dead"].seconds
    return math.inf if found is None else found


def _postgres_killed(settings: Settings, patroni: Patroni) -> Bound:
    noticed = Term(patroni.loop_wait, "Patroni's next round sees it", steps.PATRONI)
    if patroni.primary_start_timeout:
        waits = Term(
            patroni.primary_start_timeout,
            "it may take to start (primary_start_timeout)",
            steps.PATRONI,
        )
        note = "much less where PostgreSQL starts again by itself"
        return total([noticed, waits], _handed_over(settings, patroni), note=note)
    return total([noticed], _handed_over(settings, patroni))


def _handed_over(settings: Settings, patroni: Patroni) -> list[Term]:
    """A leader that is alive gives the lease up by itself."""
    again = Term(patroni.loop_wait, "a standby's round to take the lease", steps.PATRONI)
    return [again, *steps.promotion(), *steps.seen_up(settings.balancer)]


def _leader_dead(settings: Settings, patroni: Patroni) -> Bound:
    return _unhung(settings, total(steps.lease(patroni), steps.takeover(settings, patroni)), "dead")


def _frozen(settings: Settings, patroni: Patroni) -> Bound:
    over = total(steps.lease(patroni), steps.takeover(settings, patroni))
    return _unhung(settings, over, "frozen")


def _unhung(settings: Settings, over: Bound, what: str) -> Bound:
    """That bound, or longer where a client's session hangs on the old primary for longer."""
    balancer = settings.balancer
    if balancer is None:
        return over
    down = steps.marked_down(balancer)
    if balancer.shutdown_sessions:
        longer = [down, *steps.seen_up(balancer)]
    elif what == "dead" and balancer.tcp_user_timeout:
        gone = "data that nobody acknowledges ends the session (tcp_user_timeout)"
        longer = [Term(balancer.tcp_user_timeout, gone, steps.HAPROXY)]
    else:
        words = f"a session hangs on the {what} member, since sessions are not cut"
        limit = min(balancer.idle, KERNEL_GIVES_UP) if what == "dead" else balancer.idle
        longer = [Term(limit, words, steps.HAPROXY)]
    other = total(longer)
    return max(over, other, key=lambda bound: bound.seconds or 0.0)


def _patroni_killed(settings: Settings, patroni: Patroni) -> Bound:
    del patroni  # which keeps its lease meanwhile: PROCESS is far less than the least ttl
    back = Term(steps.PROCESS, "its supervisor starts it again", steps.ASSUMED)
    return total([back], steps.seen_up(settings.balancer))


def _switchover(settings: Settings, patroni: Patroni) -> Bound:
    limit = patroni.primary_stop_timeout or steps.STOP
    stop = Term(min(limit, steps.STOP), "PostgreSQL stops, after a checkpoint", steps.ASSUMED)
    over = total([stop], _handed_over(settings, patroni))
    if _who_confirms_is_the_former_leader(settings.replication):
        return max(over, total([stop], steps.demotion()), key=lambda bound: bound.seconds or 0.0)
    return over


def _who_confirms_is_the_former_leader(replication: Replication | None) -> bool:
    """Whether the new leader has too few other standbys for its writes to be confirmed."""
    return (
        replication is not None
        and replication.strict
        and replication.members - 2 < replication.node_count
    )


def _standby_dead(settings: Settings, patroni: Patroni) -> Bound:
    return _standby_lost(settings, patroni, synchronous=False)


def _synchronous_standby_dead(settings: Settings, patroni: Patroni) -> Bound:
    return _standby_lost(settings, patroni, synchronous=True)


def _standby_lost(settings: Settings, patroni: Patroni, *, synchronous: bool) -> Bound:
    replication = settings.replication
    if replication is None or not replication.synchronous:
        return no_outage("no standby has to confirm a write")
    left = replication.members - 2
    if left >= replication.node_count and (replication.quorum or not synchronous):
        return no_outage("enough other standbys confirm writes")
    return _without_confirmation(settings, patroni, replication, left)


def _without_confirmation(
    settings: Settings, patroni: Patroni, replication: Replication, left: int
) -> Bound:
    """Writes wait until Patroni asks others for confirmation, or nobody."""
    if replication.strict and left <= 0:
        return until("until a standby is back: replication is strict, and no other is there")
    noticed = Term(_silence(settings.server), "the primary notices", "PostgreSQL's manual, 20.6.1")
    named = Term(2 * patroni.loop_wait, "Patroni asks other standbys", steps.PATRONI)
    return total([noticed, named])


def _silence(server: Server | None) -> float:
    """Seconds until a primary gives a silent standby up; PostgreSQL's default is 60."""
    if server is None:
        return 60.0
    return server.wal_sender_timeout or KERNEL_GIVES_UP


def _cut_from_etcd(settings: Settings, patroni: Patroni) -> Bound:
    if patroni.failsafe_mode:
        return no_outage("failsafe_mode: every member confirms the leader")
    return total(steps.lease(patroni), steps.takeover(settings, patroni))


def _cut_from_standbys(settings: Settings, patroni: Patroni) -> Bound:
    replication = settings.replication
    if replication is None or not replication.synchronous:
        return no_outage("no standby has to confirm a write")
    if replication.strict:
        return until("until the cut is healed: the leader keeps its lease, nobody may confirm")
    return _without_confirmation(settings, patroni, replication, 0)


def _cut_from_balancer(settings: Settings, patroni: Patroni) -> Bound:
    del patroni
    if settings.balancer is None:
        return no_outage("there is no load balancer")
    return until("until the cut is healed: to Patroni, all is well")


def _etcd_member_dead(settings: Settings, patroni: Patroni) -> Bound:
    if _bears_no_loss(settings.etcd):
        return _etcd_down(settings, patroni)
    return no_outage("the other etcd members go on")


def _bears_no_loss(etcd: Etcd | None) -> bool:
    return etcd is not None and etcd.members <= 2  # noqa: PLR2004 - two need both for a quorum


def _etcd_leader_dead(settings: Settings, patroni: Patroni) -> Bound:
    etcd = settings.etcd
    if etcd is None:
        return no_outage("as long as etcd elects within retry_timeout")
    if _bears_no_loss(etcd):
        return _etcd_down(settings, patroni)
    if patroni.failsafe_mode or 2 * etcd.election_timeout < patroni.retry_timeout:
        return no_outage("etcd elects within retry_timeout")
    return total(steps.election(etcd), _handed_over(settings, patroni))


def _both_leaders_dead(settings: Settings, patroni: Patroni) -> Bound:
    etcd = settings.etcd
    first = steps.election(etcd) if etcd else ()
    over = total(first, steps.lease(patroni), steps.takeover(settings, patroni))
    return _unhung(settings, over, "dead")


def _etcd_down(settings: Settings, patroni: Patroni) -> Bound:
    if patroni.failsafe_mode:
        return no_outage("failsafe_mode: every member confirms the leader")
    return _without_etcd(settings, patroni)


def _without_etcd(settings: Settings, patroni: Patroni) -> Bound:
    """The leader steps down, and takes over again once etcd is back."""
    away = Term(OUTAGE, "etcd is away", "the drill")
    first = steps.election(settings.etcd) if settings.etcd else ()
    return total([away], first, _handed_over(settings, patroni))


def _balancer_killed(settings: Settings, patroni: Patroni) -> Bound:
    del patroni
    balancer = settings.balancer
    if balancer is None:
        return no_outage("there is no load balancer")
    back = Term(steps.BALANCER_PROCESS, "its supervisor starts it again", steps.ASSUMED)
    first = Term(balancer.inter + steps.ANSWER, "its first checks", steps.HAPROXY)
    return total([back, first])


def _disk_full(settings: Settings, patroni: Patroni) -> Bound:
    del settings, patroni
    return until(
        "until there is room again: PostgreSQL refuses writes and runs on, and the lease is"
        " renewed; where it crashes for want of room, as postgres-killed"
    )


def _clock_ahead(settings: Settings, patroni: Patroni) -> Bound:
    del settings, patroni
    return no_outage("leases and checks go by clocks that only go forward")


def _clock_back(settings: Settings, patroni: Patroni) -> Bound:
    """Patroni plans its next round by the wall clock (patroni/__main__.py, schedule_next_run)."""
    why = "the leader's next round comes late, by as much as its clock was set back"
    return replace(_frozen(settings, patroni), note=why)


def _all_dead(settings: Settings, patroni: Patroni) -> Bound:
    boot = Term(steps.BOOT, "servers start, once their machines run", steps.ASSUMED)
    first = steps.election(settings.etcd) if settings.etcd else ()
    return total([boot], first, steps.lease(patroni), steps.takeover(settings, patroni))


Formula = Callable[[Settings, Patroni], Bound]

_CUTS: Mapping[str, Formula] = MappingProxyType(
    {
        "cut-etcd": _cut_from_etcd,
        "cut-standbys": _cut_from_standbys,
        "cut-load-balancer": _cut_from_balancer,
    }
)

FAULTS: Mapping[str, Formula] = MappingProxyType(
    {
        "postgres-killed": _postgres_killed,
        "patroni-killed": _patroni_killed,
        "load-balancer-killed": _balancer_killed,
        "leader-dead": _leader_dead,
        "standby-dead": _standby_dead,
        "synchronous-standby-dead": _synchronous_standby_dead,
        "etcd-member-dead": _etcd_member_dead,
        "etcd-leader-dead": _etcd_leader_dead,
        "both-leaders-dead": _both_leaders_dead,
        "all-dead": _all_dead,
        "leader-frozen": _frozen,
        "postgres-frozen": _frozen,
        "switchover": _switchover,
        "etcd-down": _etcd_down,
        "etcd-and-replica-down": _without_etcd,  # failsafe_mode needs every member
        **{f"{cut}{way}": _CUTS[cut] for cut in _CUTS for way in ("", "-sent", "-received")},
        "disk-full": _disk_full,
        "clock-ahead": _clock_ahead,
        "clock-back": _clock_back,
    }
)
"""The formula of each fault, by the name that `pgstead drill` knows it by."""
