"""When this command began."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path


def began() -> float:
    """When this process began, by `time.monotonic`; interpreter and imports are its user's time.

    Field 22 of /proc/self/stat, in clock ticks since the boot (proc(5)). Where there is no
    such file: now.
    """
    now = time.monotonic()
    with suppress(OSError, ValueError, IndexError):
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        since_boot = time.clock_gettime(time.CLOCK_BOOTTIME)
        return now - (since_boot - int(fields[19]) / os.sysconf("SC_CLK_TCK"))
    return now
