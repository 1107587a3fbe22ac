"""The service: `python -m pgstead.sentinel CONFIG`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from pgstead.errors import PgsteadError
from pgstead.sentinel.service import run
from pgstead.waiting import interruption


def main() -> int:
    """Run until a signal asks to stop; gives the exit code."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: interruption.set())
    try:
        run(Path(sys.argv[1]))
    except PgsteadError as error:
        sys.stderr.write(f"{error.message}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
