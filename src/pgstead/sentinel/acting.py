"""What a sentinel does: each step under the hold, and verified where it can be."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from pgstead.errors import PgsteadError, Refused
from pgstead.platforms.base import Power
from pgstead.sentinel.events import Log
from pgstead.sentinel.holding import Hold
from pgstead.sentinel.observation import LeaderKey
from pgstead.sentinel.steps import Act, Forget, Note, PowerOff, Start, TakeKey

REST_SECONDS = 10
"""No other fencing for so long: several times what a promotion takes."""

RETRY_SECONDS = 15.0
"""Before a machine that could not be started is started again."""


class Ground(Protocol):
    """The part of a platform that acting takes. All methods raise `PlatformError`."""

    def power(self, machine: str) -> Power:
        """Whether it is on, and which boot of it."""

    def power_off(self, machine: str, boot: str) -> None:
        """Power that boot off and verify it. Raises `Refused` at another boot."""

    def start(self, machine: str) -> None:
        """Start all services of a machine; returns when they are ready."""


class Keys(Protocol):
    """The part of etcd that acting takes. All methods raise `ClientError`."""

    def note(self, machine: str, boot: str) -> bool:
        """Write down that a machine is taken on."""

    def forget(self, machine: str) -> bool:
        """Remove that again."""

    def take(self, key: LeaderKey, rest: int) -> bool:
        """Delete that very key of the leader."""


@dataclass(slots=True)
class Hands:
    """Carries steps out; one that fails is told, and decided about again."""

    keys: Keys
    platform: Ground
    hold: Hold
    log: Log
    clock: Callable[[], float] = time.monotonic
    _failed: dict[str, float] = field(default_factory=dict, init=False)

    def later(self) -> frozenset[str]:
        """The machines that could not be started a moment ago."""
        now = self.clock()
        return frozenset(name for name, at in self._failed.items() if now - at < RETRY_SECONDS)

    def act(self, step: Act) -> None:
        """Do it, unless somebody else has begun to work on the stack."""
        self.log.decided(_words(step))
        with self.hold.taken() as free:
            if not free:
                self.log.failed("another command has just begun to work on the stack")
                return
            try:
                self.log.done(self._do(step))
            except PgsteadError as error:
                if isinstance(step, Start):
                    self._failed[step.machine] = self.clock()
                self.log.failed(error.message)

    def _do(self, step: Act) -> str:
        """Do it; what was done, in words."""
        if isinstance(step, PowerOff):
            self.platform.power_off(step.machine, step.boot)
            self._must_be_off(step.machine)
            return f"{step.machine} is off"
        if isinstance(step, TakeKey):
            self._must_be_off(step.machine)
            return _guarded(
                self.keys.take(step.key, REST_SECONDS), f"{step.key.member} lost the key"
            )
        if isinstance(step, Start):
            self.platform.start(step.machine)
            return f"{step.machine} runs again"
        if isinstance(step, Note):
            return _guarded(self.keys.note(step.machine, step.boot), f"{step.machine} is noted")
        return _guarded(self.keys.forget(step.machine), f"the note of {step.machine} is gone")

    def _must_be_off(self, machine: str) -> None:
        if self.platform.power(machine).on:
            raise Refused(f"{machine} is not off: its key is left alone")


def _guarded(done: bool, words: str) -> str:  # noqa: FBT001 - what a transaction says
    if not done:
        raise Refused("etcd refused: the key is another one by now, or another sentinel acts")
    return words


def _words(step: Act) -> str:
    if isinstance(step, PowerOff):
        return f"power {step.machine} off, boot {step.boot}"
    if isinstance(step, TakeKey):
        return f"take the leader's key from {step.key.member}: {step.machine} is off"
    if isinstance(step, Start):
        return f"start {step.machine} again, as a standby"
    if isinstance(step, Note):
        which = f"boot {step.boot}" if step.boot else "which is off"
        return f"prepare to fence {step.machine}, {which}"
    assert isinstance(step, Forget)  # noqa: S101 - the last of them
    return f"forget the fencing of {step.machine}"
