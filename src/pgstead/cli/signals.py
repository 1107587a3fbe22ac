"""Ctrl-C and SIGTERM: the first one stops at a good place, the second one at once."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from types import FrameType

INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""

SHOW_CURSOR = b"\x1b[?25h"


def install() -> None:
    """Take Ctrl-C and SIGTERM for `KeyboardInterrupt`; whatever is ignored stays ignored."""
    stopping = Stopping()
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stopping)


class Stopping:
    """A signal handler. Leaving at once is as safe as being killed: a rerun goes on."""

    def __init__(self) -> None:
        self._again = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Raise `KeyboardInterrupt`; called again, end the process."""
        del number, frame
        if self._again:
            with suppress(OSError):
                os.write(2, (SHOW_CURSOR if sys.stderr.isatty() else b"") + b"stopped at once\n")
            os._exit(INTERRUPTED)
        self._again = True
        raise KeyboardInterrupt


def take_hangup() -> None:
    """Take the end of the terminal as Ctrl-C is taken, for what must put things back first."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))
