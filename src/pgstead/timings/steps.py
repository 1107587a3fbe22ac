"""What a failover is made of: each step with the most that it takes.

What no setting bounds is assumed, and said to be: a machine that is not overloaded, little WAL
to replay, members that are well. The figures are twice what was measured, or more.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgstead.timings.bounds import Term
from pgstead.timings.settings import Balancer, Etcd, Patroni, Settings

PATRONI = "https://patroni.readthedocs.io/en/latest/dynamic_configuration.html"
HAPROXY = "https://docs.haproxy.org/2.6/configuration.html"
ETCD = "https://etcd.io/docs/v3.5/tuning/"
LESSOR = "etcd, server/lease/lessor.go"
RAFT = "etcd, raft/raft.go: an election timeout is drawn from once to twice its setting"
HA = "Patroni, patroni/ha.py"
ASSUMED = "assumed"

LEASE_CHECK = 0.5
"""etcd looks for leases that ran out every half second."""

RACE = 2.0
"""Members that do not answer are asked with a timeout of two seconds."""

DEMOTED = 2.0
"""A leader that has handed over waits for so long until it looks whom to follow (`demote`)."""

PROMOTION = 2.0
STOP = 3.0
PROCESS = 3.0
BALANCER_PROCESS = 1.0
BOOT = 10.0
ANSWER = 0.2


def lease(patroni: Patroni) -> Iterator[Term]:
    """The leader's lease, renewed just now, ends, and etcd deletes its key."""
    yield Term(patroni.ttl, "the leader's lease, just renewed, runs out", PATRONI)
    yield Term(LEASE_CHECK, "etcd looks for leases that ran out", LESSOR)


def race(patroni: Patroni) -> Iterator[Term]:
    """Standbys see that there is no leader, and find the one that takes over."""
    yield Term(patroni.loop_wait, "a standby ends its round", PATRONI)
    yield Term(RACE, "members that do not answer are asked", HA)


def promotion() -> Iterator[Term]:
    """PostgreSQL ends its recovery."""
    yield Term(PROMOTION, "a standby is promoted", ASSUMED)


def demotion() -> Iterator[Term]:
    """The former leader comes back as a standby."""
    yield Term(DEMOTED, "the former leader, who has to confirm writes, pauses", HA)
    yield Term(PROCESS, "it starts as a standby, and streams", ASSUMED)


def seen_up(balancer: Balancer | None) -> Iterator[Term]:
    """The load balancer sees the new primary; clients that know all members look themselves."""
    if balancer is None:
        return
    pauses = balancer.downinter + (balancer.rise - 1) * balancer.fastinter
    seconds = pauses + balancer.rise * ANSWER
    yield Term(seconds, "the load balancer sees it (downinter, rise)", HAPROXY)


def marked_down(balancer: Balancer) -> Term:
    """The load balancer notices a member that is silent, and takes it out."""
    attempt = min(balancer.connect, balancer.inter) + balancer.check_timeout
    seconds = balancer.inter + attempt + (balancer.fall - 1) * (balancer.fastinter + attempt)
    return Term(seconds, "the load balancer marks the old one down (inter, fall)", HAPROXY)


def election(etcd: Etcd) -> Iterator[Term]:
    """An election, whose winner gives each lease its whole length again."""
    yield Term(2 * etcd.election_timeout, "etcd elects a leader", RAFT)
    yield Term(etcd.election_timeout, "its new leader extends the leases", LESSOR)


def takeover(settings: Settings, patroni: Patroni) -> Iterator[Term]:
    """All that follows once the lease is gone."""
    yield from race(patroni)
    yield from promotion()
    yield from seen_up(settings.balancer)
