"""The rules that no step may break, checked at each one, apart from how it was decided."""

from __future__ import annotations

from collections.abc import Iterator

from pgstead.errors import Refused
from pgstead.sentinel.evidence import Evidence, is_overdue
from pgstead.sentinel.observation import Seen
from pgstead.sentinel.promotion import obstacle
from pgstead.sentinel.steps import Act, Note, PowerOff, Start, Step, TakeKey


class Unsafe(Refused):
    """A step that breaks a rule: a defect of the decision, caught before it does harm."""


def check(step: Step, evidence: Evidence, seen: Seen, me: str) -> None:
    """Raise `Unsafe` if the step breaks a rule."""
    if not isinstance(step, Act):
        return
    broken = [rule for rule, holds in _rules(step, evidence, seen, me) if not holds]
    if broken:
        raise Unsafe(
            f"{step} breaks a rule: {'; '.join(broken)}",
            hint="nothing was done; this is a defect of pgstead, please report it",
        )


def _rules(step: Act, evidence: Evidence, seen: Seen, me: str) -> Iterator[tuple[str, bool]]:
    dcs = seen.dcs
    if dcs is None:
        yield "nothing is done while etcd has no quorum", False
        return
    yield "nothing is done while Patroni is paused", not dcs.paused
    yield "nothing is done while another works on the stack", not seen.held
    yield "one sentinel acts", dcs.acting == me
    if isinstance(step, Start):
        yield "a machine is started while another leads", _led_by_another(step.machine, seen)
    if isinstance(step, Note | PowerOff | TakeKey):
        yield "only the leader's machine is fenced", step.machine == seen.leader_machine
        yield "a fencing is followed by rest", not dcs.resting
        yield "Patroni's own rule lets another member win", not obstacle(seen)
        yield "a leader that answers is not fenced", seen.leader_answers is False
        late = is_overdue(seen) and evidence.silent > 1
        yield "a leader that runs is fenced only if it is late", late or seen.leaders.on is False
    if isinstance(step, PowerOff):
        same = step.boot == seen.leaders.boot == evidence.boot
        yield "a boot is named, and was seen to lead", bool(step.boot) and same
        yield "what is powered off is noted before", dcs.fenced.get(step.machine) == step.boot
        lives = any(one.streams or one.failsafe for one in seen.others)
        yield "a leader that streams, or goes on in failsafe mode, is not powered off", not lives
    if isinstance(step, TakeKey):
        yield "the old leader is off", seen.leaders.on is False
        yield "the key is the one that was judged", step.key == seen.key == evidence.key


def _led_by_another(machine: str, seen: Seen) -> bool:
    return seen.leader_machine not in (None, machine)
