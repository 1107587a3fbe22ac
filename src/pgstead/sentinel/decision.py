"""What is to be done about a leader, step by step. Pure: no I/O, no clock.

Every step follows from a fresh look and from what the looks before it prove; nothing else is
remembered. So a sentinel that is stopped after any step leaves nothing half done, and the next
one goes on from what it sees.

    for step in decide(look, me): act(step)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pgstead.sentinel import invariants
from pgstead.sentinel.evidence import Evidence, is_overdue
from pgstead.sentinel.observation import LeaderKey, Seen
from pgstead.sentinel.promotion import obstacle
from pgstead.sentinel.steps import Act, Forget, Note, PowerOff, Stand, Start, Step, TakeKey

OFF_LOOKS = 2
"""Looks in a row that must find a machine off: what is just restarted is not. One is enough
where the sentinel has powered it off itself."""

SILENT_LOOKS = 3
SILENT_SECONDS = 1.0
"""Looks in a row, and the time they span, that must find a running leader silent."""

Look = Callable[[bool], Seen]
"""A fresh look; the argument says whether every member is to be asked."""


def decide(look: Look, me: str) -> Iterator[Step]:
    """The steps, for ever; each is to be done before the next is asked for.

    `me` is this sentinel's name in etcd. Raises `invariants.Unsafe` rather than give a step
    that breaks a rule.
    """
    evidence, closely = Evidence(), False
    while True:
        seen = look(closely)
        evidence = evidence.after(seen)
        step = judge(evidence, seen, me)
        invariants.check(step, evidence, seen, me)
        yield step
        closely = not isinstance(step, Stand) or step.closely


def judge(evidence: Evidence, seen: Seen, me: str) -> Step:
    """The one step that follows from what is seen and proved now."""
    if reason := _stands_still(seen):
        return Stand(reason)
    step = _about_leader(evidence, seen)
    if isinstance(step, Stand) and not step.closely:
        step = _about_fenced(seen) or step
    if isinstance(step, Act) and seen.dcs and seen.dcs.acting != me:
        return Stand(f"another sentinel acts: {seen.dcs.acting or 'none yet'}", closely=True)
    return step


def _stands_still(seen: Seen) -> str:
    """What forbids every step."""
    if seen.dcs is None:
        return f"etcd has no quorum: {seen.trouble}"
    if seen.dcs.paused:
        return "Patroni is paused"
    return f"{seen.held} works on the stack" if seen.held else ""


def _about_leader(evidence: Evidence, seen: Seen) -> Step:
    key, machine = seen.key, seen.leader_machine
    if key is None:
        return Stand("nobody leads: Patroni elects")
    if machine is None:
        return Stand(f"the leader, {key.member}, is no member of the stack")
    if seen.leaders.on is None:
        return Stand(
            f"the platform cannot tell of {machine}, so its lease is waited for:"
            f" {seen.leaders.reason}"
        )
    return _about_silent(evidence, seen, key)


def _about_silent(evidence: Evidence, seen: Seen, key: LeaderKey) -> Step:
    """The way of a leader that is off or silent; most leaders are neither."""
    machine = seen.machine_of[key.member]
    waits = _waits_on(evidence, seen) if seen.leaders.on else _waits_off(evidence, seen)
    if waits is not None and not _is_silent(evidence, seen):
        return waits
    if forbidden := _forbids(seen):
        return Stand(f"{machine} is not fenced: {forbidden}", closely=True)
    if not _is_noted(seen, machine):  # while its standbys are still waited for, maybe
        return Note(machine, seen.leaders.boot)
    if waits is not None:
        return waits
    return PowerOff(machine, seen.leaders.boot) if seen.leaders.on else TakeKey(machine, key)


def _waits_off(evidence: Evidence, seen: Seen) -> Stand | None:
    """Why a leader whose machine is off is not fenced; None if nothing speaks against it."""
    machine = seen.leader_machine
    if seen.leader_answers:
        return Stand(f"the platform says that {machine} is off, but it answers", closely=True)
    enough = 1 if seen.dcs and seen.dcs.fenced.get(machine or "") else OFF_LOOKS
    if evidence.off < enough or seen.leader_answers is None:
        return Stand(f"{machine}, the leader's machine, is off", closely=True)
    return None


def _waits_on(evidence: Evidence, seen: Seen) -> Stand | None:
    """Why a leader whose machine runs is not fenced; None if it is proved to be silent."""
    machine = seen.leader_machine
    if not is_overdue(seen):
        return Stand(f"{machine} leads")
    if seen.leader_answers is not False:
        said = "but it answers" if seen.leader_answers else "it is asked"
        return Stand(f"{machine} did not renew its lease, {said}", closely=True)
    alive = _lives(evidence, seen)
    if alive or not _is_silent(evidence, seen):
        return Stand(
            f"{machine} is silent, {alive or 'and does not renew its lease'}", closely=True
        )
    return None


def _is_silent(evidence: Evidence, seen: Seen) -> bool:
    """Whether it runs, and has neither answered nor renewed for long enough."""
    lasted = seen.at - evidence.silent_from
    return evidence.silent >= SILENT_LOOKS and lasted >= SILENT_SECONDS


def _lives(evidence: Evidence, seen: Seen) -> str:
    """What says that a silent leader lives all the same, or is another one than it was."""
    if not evidence.boot:
        return "but was not seen to lead since it was started: its lease is waited for"
    if streaming := ", ".join(one.name for one in seen.others if one.streams):
        return f"but {streaming} receives WAL"
    if any(one.failsafe for one in seen.others):
        return "but goes on in failsafe mode"
    return ""


def _forbids(seen: Seen) -> str:
    """What else speaks against a fencing."""
    if seen.dcs and seen.dcs.resting:
        return "another fencing was a moment ago"
    if seen.dcs and seen.dcs.failover:
        return "a switchover or failover was asked for"
    if seen.members is None:
        return "the other members are asked"
    if any(one.paused for one in seen.others):
        return "Patroni is paused"
    return obstacle(seen)


def _is_noted(seen: Seen, machine: str) -> bool:
    fenced = seen.dcs.fenced if seen.dcs else {}
    return machine in fenced and seen.leaders.boot in ("", fenced[machine])


def _about_fenced(seen: Seen) -> Step | None:
    """Start what was fenced, once another leads; the note goes when it runs."""
    if seen.dcs is None or seen.key is None:
        return None
    for name in sorted(seen.dcs.fenced):
        machine = seen.machines.get(name)
        if name not in seen.machine_of.values() or (machine and machine.on):
            return Forget(name)
        if machine and machine.on is False and name not in (*seen.later, seen.leader_machine):
            return Start(name)
    return None
