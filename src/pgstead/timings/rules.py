"""What must hold between timings, and what is safe but known to hurt.

A finding is about one setting, and its words follow the setting's name wherever that is
written: a cluster is refused for what is unsafe, a module is warned.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pgstead.timings.settings import Balancer, Etcd, Patroni, Settings
from pgstead.timings.steps import ETCD, HAPROXY, PATRONI, marked_down

WATCHDOG = "https://patroni.readthedocs.io/en/latest/watchdog.html"
POOLS = "PgBouncer's server_idle_timeout and HikariCP's idleTimeout are 600 s by default"

LEAST_TTL = 20
LEAST_HEARTBEATS = 5
LEAST_ROUND_TRIPS = 10
LEAST_IDLE = 600.0
LONG_TTL = 60
LONG_START = 30


@dataclass(frozen=True, slots=True)
class Finding:
    """What is the matter with a setting.

    `given` is its value in words; `must` is what it has to be, None for what is no more than
    a caution; `why` is a sentence's end, `source` who says so.
    """

    key: str
    given: str
    must: str | None
    why: str
    source: str

    @property
    def refusal(self) -> str:
        """The words for a field that is refused."""
        return f"must be {self.must}, given {self.given}: {self.why} ({self.source})"

    @property
    def caution(self) -> str:
        """The words that follow the setting's name in a warning."""
        if self.must is None:
            return f"is {self.given}: {self.why}."
        return f"is {self.given}, but should be {self.must}: {self.why} ({self.source})."


def findings(settings: Settings) -> Iterator[Finding]:
    """Everything that is the matter, as far as the parts that are there tell."""
    if settings.patroni is not None:
        yield from _patroni(settings.patroni)
        yield from _watchdog(settings.patroni)
    if settings.etcd is not None:
        yield from _etcd(settings.etcd)
    if settings.balancer is not None:
        yield from _balancer(settings.balancer)
    yield from _together(settings)


def unsafe(settings: Settings) -> Iterator[Finding]:
    """Those that a cluster is refused for."""
    return (found for found in findings(settings) if found.must is not None)


def _patroni(patroni: Patroni) -> Iterator[Finding]:
    ttl, loop_wait, retry = patroni.ttl, patroni.loop_wait, patroni.retry_timeout
    needed = loop_wait + 2 * retry
    if ttl < LEAST_TTL:
        must, why = f"at least {LEAST_TTL}", "Patroni goes no lower"
        yield Finding("patroni.ttl", f"{ttl:g}", must, why, PATRONI)
    elif ttl < needed:
        must = (
            f"at least loop_wait + 2 x retry_timeout = {loop_wait:g} + 2 x {retry:g} = {needed:g}"
        )
        why = "else a leader could lose its lease while it still retries, and Patroni shortens both"
        yield Finding("patroni.ttl", f"{ttl:g}", must, why, PATRONI)
    yield from _slow(patroni)


def _slow(patroni: Patroni) -> Iterator[Finding]:
    if patroni.ttl >= LONG_TTL:
        why = (
            "a dead primary is noticed, and writes go on, only after about as long; 20 is the"
            " least Patroni takes"
        )
        yield Finding("patroni.ttl", f"{patroni.ttl:g} s", None, why, PATRONI)
    if patroni.primary_start_timeout >= LONG_START:
        given = f"{patroni.primary_start_timeout:g} s"
        why = (
            "a primary that crashes and does not come back is waited for that long; 0 fails over"
            " at once"
        )
        yield Finding("patroni.primary_start_timeout", given, None, why, PATRONI)
    if not patroni.failsafe_mode:
        why = (
            "if etcd cannot be reached, the primary steps down although all members are well, and"
            " writes stop"
        )
        yield Finding("patroni.failsafe_mode", "off", None, why, PATRONI)


def _watchdog(patroni: Patroni) -> Iterator[Finding]:
    if patroni.watchdog_mode == "off":
        return
    key = "patroni.safety_margin"
    margin, timeout = patroni.safety_margin, patroni.watchdog_timeout
    if margin != -1 and margin < 1:
        why = "the watchdog would fire after the lease's end, when another may lead already"
        yield Finding(key, f"{margin:g}", "-1 (half of ttl), or at least 1", why, WATCHDOG)
    elif timeout < patroni.loop_wait:
        why = (
            f"the watchdog would fire {max(timeout, 0):g} s after a renewal, within one pause of"
            f" {patroni.loop_wait:g} s (loop_wait): Patroni does not use it, and does not lead"
            " without one where it is required"
        )
        yield Finding(key, f"{margin:g}", None, why, WATCHDOG)


def _etcd(etcd: Etcd) -> Iterator[Finding]:
    key, timeout = "etcd.election_timeout", _milliseconds(etcd.election_timeout)
    beats = LEAST_HEARTBEATS * _milliseconds(etcd.heartbeat_interval)
    if timeout < beats:
        must = f"at least {LEAST_HEARTBEATS} x heartbeat_interval = {beats:g} ms"
        yield Finding(key, f"{timeout:g}", must, "etcd does not start with less", ETCD)
    if etcd.round_trip is None:
        return
    trips = LEAST_ROUND_TRIPS * _milliseconds(etcd.round_trip)
    if timeout < trips:
        must = f"at least {LEAST_ROUND_TRIPS} x round_trip = {trips:g} ms"
        why = "else etcd elects again and again, since its answers come too late"
        yield Finding(key, f"{timeout:g}", must, why, ETCD)


def _balancer(balancer: Balancer) -> Iterator[Finding]:
    if balancer.idle < LEAST_IDLE:
        why = (
            "idle sessions of connection pools, and queries that take longer, are cut; 24h leaves"
            " them alone"
        )
        must = f"at least {LEAST_IDLE / 60:g}m"
        yield Finding("balancer.idle", f"{balancer.idle:g}s", must, why, POOLS)
    if not balancer.shutdown_sessions:
        why = (
            "sessions stay on a former primary after a failover, where they hang or go on reading"
            " old data"
        )
        yield Finding("balancer.shutdown_sessions", "false", None, why, HAPROXY)
    if balancer.fall == 1:
        why = "a single failed check, e.g. a lost packet, takes the primary out"
        yield Finding("balancer.fall", "1", None, why, HAPROXY)


def _together(settings: Settings) -> Iterator[Finding]:
    patroni, etcd, balancer = settings.patroni, settings.etcd, settings.balancer
    if patroni and etcd and not patroni.failsafe_mode:
        longest = 2 * etcd.election_timeout
        if longest >= patroni.retry_timeout:
            why = (
                f"an election may take twice as long, {longest:g} s, and the primary steps down"
                f" after {patroni.retry_timeout:g} s without etcd (retry_timeout)"
            )
            given = f"{_milliseconds(etcd.election_timeout):g} ms"
            yield Finding("etcd.election_timeout", given, None, why, ETCD)
    if patroni and balancer:
        down = marked_down(balancer).seconds
        if down > patroni.ttl:
            why = (
                f"a silent primary is marked down after up to {down:g} s, and its lease ends after"
                f" {patroni.ttl:g} s: sessions stay on it while another one leads"
            )
            yield Finding("balancer.fall", f"{balancer.fall}", None, why, HAPROXY)


def _milliseconds(seconds: float) -> float:
    """Whole microseconds, so that 5 x 0.203 is no more than 1.015."""
    return round(seconds * 1000, 3)
