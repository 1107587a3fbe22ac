"""The loop: look, decide, act, and pause.

How fast. A machine that is dead is seen by the next look, at most `CALM_SECONDS` away, or at
once where its platform tells of it (`platforms.base.Tells`), and once more right after; the key
is gone some 0.1 s later. A leader that is frozen renews nothing: its lease is overdue
`loop_wait` + 1 s after the last renewal (2 s by default), looks of 0.4 s over a second find it
silent, which makes 3 to 4 s, and meanwhile standbys notice, after `wal_receiver_timeout` (3 s by
default), that no WAL comes. To power a machine off takes 0.1 s. Then Patroni's standbys, which
watch the key, promote one within 1 s, and the load balancer finds it within 0.3 s. So writes go
on 1 to 2 s after a machine died, 4 to 5 s after one froze.
"""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field

from pgstead.errors import ClientError, Interrupted
from pgstead.platforms.base import Tells
from pgstead.sentinel.acting import Ground, Hands
from pgstead.sentinel.decision import decide
from pgstead.sentinel.events import Log
from pgstead.sentinel.holding import Hold
from pgstead.sentinel.invariants import Unsafe
from pgstead.sentinel.looking import Sight
from pgstead.sentinel.steps import Stand
from pgstead.sentinel.store import Store
from pgstead.sentinel.target import Target
from pgstead.waiting import pause

CALM_SECONDS = 0.5
"""Between two looks while all is well: etcd and the leader's machine are asked, nobody else."""

CLOSE_SECONDS = 0.1
"""Between two looks while something is wrong."""

DEFECT_SECONDS = 30.0
"""After a step that would have broken a rule."""


@dataclass(frozen=True, slots=True)
class Post:
    """What a sentinel watches, and with what."""

    target: Target
    platform: Ground
    hold: Hold
    log: Log


@dataclass(frozen=True, slots=True)
class Bell:
    """Wakes the sentinel up from a pause, from any thread."""

    _rung: threading.Event = field(default_factory=threading.Event)

    def ring(self) -> None:
        """End the pause, or the next one at once."""
        self._rung.set()

    def pause(self, seconds: float) -> None:
        """Let time pass until it rings. Raises `Interrupted` as `waiting.pause` does."""
        self._rung.wait(seconds)
        self._rung.clear()
        pause(0)


def watch(post: Post) -> None:
    """Watch until `waiting.interruption` is set; then let another sentinel act."""
    me = f"{socket.gethostname()}-{secrets.token_hex(4)}"
    store = Store(post.target, me)
    hands = Hands(store, post.platform, post.hold, post.log)
    sight = Sight(post.target, store, post.platform, post.hold, hands.later)
    bell = Bell()
    post.log.done(f"the sentinel {me} watches {post.target.scope}")
    try:
        with _told(post, bell):
            _for_ever(sight, hands, me, post.log, bell.pause)
    except Interrupted:
        post.log.done(f"the sentinel {me} ends")
    finally:
        with suppress(ClientError):
            store.resign()
        store.client.close()
        sight.close()


def _told(post: Post, bell: Bell) -> AbstractContextManager[None]:
    """Where the platform tells of machines that were switched off, it rings."""
    if not isinstance(post.platform, Tells):
        return nullcontext()
    return post.platform.watch(tuple(post.target.machine_of.values()), bell.ring)


def _for_ever(
    sight: Sight, hands: Hands, me: str, log: Log, sleep: Callable[[float], None]
) -> None:
    while True:
        try:
            for step in decide(sight.look, me):
                if isinstance(step, Stand):
                    log.seen(step.reason, wrong=step.closely)
                    sleep(CLOSE_SECONDS if step.closely else CALM_SECONDS)
                else:
                    hands.act(step)
        except Unsafe as error:
            log.failed(error.message)
            sleep(DEFECT_SECONDS)
