"""When this command began."""

from __future__ import annotations

import time

from pgstead import procfs


def began() -> float:
    """When this process began, by `time.monotonic`; interpreter and imports are its user's time.

    Where the kernel does not tell: now.
    """
    now = time.monotonic()
    known = procfs.stat("self")
    return now - procfs.age(known.started) if known else now
