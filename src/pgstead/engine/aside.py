"""Work in a thread of its own, so that Ctrl-C interrupts who waits for it and not the work.

Python raises `KeyboardInterrupt` between any two instructions of the main thread: also
where a pool has just started a thread and not yet written it down.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

LOOK_SECONDS = 0.5
"""The kernel may give a signal to any thread, and Python handles it in the main one, once awake."""


class Aside:
    """Work that is done aside, once."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._begun = False
        self._ended = threading.Event()
        self._error: BaseException | None = None

    def wait(self) -> None:
        """Begin the work at the first call; return at its end. Raises what the work raised.

        Interrupted by Ctrl-C, it can be called again.
        """
        if not self._begun:
            self._begun = True
            threading.Thread(target=self._run, name="apply").start()
        while not self._ended.wait(LOOK_SECONDS):
            pass
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - raised again by `wait`
            self._error = error
        finally:
            self._ended.set()
