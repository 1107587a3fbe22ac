"""Whether Patroni would let a member that can be reached take over: its own rule, from outside.

The rule is that of `patroni.ha.Ha.is_healthiest_node` (Patroni 4.1): a candidate runs as a
standby, is not behind the last timeline, is no less far than any other that counts, and with
synchronous replication commits waited for it ("on"), or it sees `quorum` of those who vote
besides itself ("quorum").
"""

from __future__ import annotations

from pgstead.sentinel.observation import Dcs, Member, Mode, Seen, Sync


def obstacle(seen: Seen) -> str:
    """Why none of the members that answer would win; empty if one would."""
    dcs = seen.dcs
    if dcs is None or dcs.mode is Mode.ASYNCHRONOUS:
        return "replication is not synchronous: what the leader did not send would be lost"
    if dcs.sync is None:
        return "no member was synchronous"
    racing = [one for one in seen.others if one.running and one.position > 0]
    primary = next((one.name for one in racing if one.primary), None)
    if primary is not None:
        return f"{primary} is a primary itself"
    wins = [one for one in racing if _wins(one, racing, dcs, dcs.sync)]
    return "" if wins else _why(racing, dcs, dcs.sync)


def _wins(one: Member, racing: list[Member], dcs: Dcs, sync: Sync) -> bool:
    if not one.eligible or one.timeline < dcs.timeline:
        return False
    if dcs.failsafe and one.name not in dcs.failsafe:
        return False
    others = [each for each in racing if each.name != one.name and each.name in sync.members]
    if any(each.position > one.position for each in others):
        return False
    if dcs.mode is Mode.SYNCHRONOUS:
        return one.name in sync.members
    votes = len(others) - (0 if one.name in sync.members else 1)
    return votes >= sync.quorum


def _why(racing: list[Member], dcs: Dcs, sync: Sync) -> str:
    names = ", ".join(sorted(one.name for one in racing)) or "none"
    if dcs.mode is Mode.QUORUM:
        needed = sync.quorum + 1
        return f"Patroni wants {needed} of {', '.join(sync.standbys) or 'none'}; {names} can race"
    return f"Patroni wants one of {', '.join(sync.standbys) or 'none'}; {names} can race"
