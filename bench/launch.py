"""Run a program and print, as its last line, what it cost: seconds and peak memory in KiB.

A process of its own and small: Linux carries the peak memory of whoever starts a program
over into the program's own (getrusage(2), ru_maxrss is kept over execve).
"""

from __future__ import annotations

import os
import sys
import time


def main() -> int:
    """Run the arguments; its standard output is thrown away, and its status is ours."""
    began = time.perf_counter()
    nowhere = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    program = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=nowhere)
    _, status, usage = os.wait4(program, 0)
    print(time.perf_counter() - began, usage.ru_maxrss)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
