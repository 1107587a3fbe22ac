"""What several looks prove together. Pure: a fold over what was seen."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pgstead.sentinel.observation import LeaderKey, Seen

TRUNCATION = 1.0
"""Seconds that etcd cuts off a lease's remaining time at the most."""

OVERDUE = 1.0
"""Seconds beyond Patroni's `loop_wait` after which a lease should have been renewed."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of the holder of one leader key, from looks that followed each other.

    `boot` is the machine's boot that was seen to lead: after it had been seen to run, the lease
    was renewed. `ends` is when the lease ends at the latest, by what was read. `off` counts the
    last looks in a row that found the machine off and the lease not renewed, `silent` those in
    which it ran, at that boot, and neither answered nor renewed; `silent_from` is when they began.
    """

    key: LeaderKey | None = None
    boot: str = ""
    running: str = ""
    running_from: float = 0.0
    ends: float | None = None
    off: int = 0
    silent: int = 0
    silent_from: float = 0.0

    def after(self, seen: Seen) -> Evidence:
        """With one more look. What is not seen proves nothing, and what was proved is over."""
        if seen.dcs is None or seen.key is None:
            return Evidence()
        known = self if seen.key == self.key else Evidence(seen.key)
        return _counted(_watched(known, seen), seen, renewed=_is_renewed(known, seen))


def _is_renewed(known: Evidence, seen: Seen) -> bool:
    """Whether the lease ends later than it did."""
    end = _end(seen)
    return end is None or known.ends is None or end > known.ends + TRUNCATION


def _watched(known: Evidence, seen: Seen) -> Evidence:
    """With what is known of the machine's boot."""
    machine, lease = seen.leaders, seen.dcs.lease if seen.dcs else None
    if not machine.on:
        return known
    if machine.boot != known.running:
        return replace(known, boot="", running=machine.boot, running_from=seen.until)
    # The lease was renewed no earlier than this: by what ran already.
    if lease is not None and seen.at + lease.remaining - lease.granted > known.running_from:
        return replace(known, boot=machine.boot)
    return known


def _counted(known: Evidence, seen: Seen, *, renewed: bool) -> Evidence:
    """With the looks in a row that found the leader off, or silent."""
    machine, end = seen.leaders, _end(seen)
    ends = known.ends if end is None else max(end, known.ends or end)
    off = known.off + 1 if machine.on is False and not renewed else 0
    quiet = seen.leader_answers is False and not renewed and is_overdue(seen)
    if not (quiet and machine.on and machine.boot == known.boot):
        return replace(known, ends=ends, off=off, silent=0)
    begun = known.silent_from if known.silent else seen.at
    return replace(known, ends=ends, off=off, silent=known.silent + 1, silent_from=begun)


def is_overdue(seen: Seen) -> bool:
    """Whether the leader should have renewed its lease by now."""
    if seen.dcs is None or seen.dcs.lease is None:
        return False
    return seen.dcs.lease.age >= seen.dcs.loop_wait + OVERDUE


def _end(seen: Seen) -> float | None:
    lease = seen.dcs.lease if seen.dcs else None
    return None if lease is None else seen.at + lease.remaining
