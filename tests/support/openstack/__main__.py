"""A lab by hand, from the repository's folder.

    PYTHONPATH=tests .venv/bin/python -m support.openstack install
    PYTHONPATH=tests .venv/bin/python -m support.openstack run [COMMAND...]

`run` starts a lab, prints how to use it, and ends it with the command, or else with Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from pgstead.errors import PgsteadError
from support.openstack.environment import installed
from support.openstack.initial import initial_state
from support.openstack.lab import running

USAGE = "install, or run [COMMAND...]"


def main(words: Sequence[str]) -> int:
    match words:
        case ["install"]:
            return install()
        case ["run", *command]:
            return run(command)
        case _:
            print(f"usage: {USAGE}", file=sys.stderr)  # noqa: T201
            return 2


def install() -> int:
    """All that can be done before the first lab starts."""
    try:
        initial_state(installed())
    except PgsteadError as error:
        print(error.message, file=sys.stderr)  # noqa: T201
        return 1
    return 0


def run(command: Sequence[str]) -> int:
    for kind in (signal.SIGINT, signal.SIGTERM):
        signal.signal(kind, lambda *_: sys.exit(0))
    with running() as lab:
        told = {"OS_CLIENT_CONFIG_FILE": str(lab.clouds_file), "LAB_FOLDER": str(lab.folder)}
        if command:
            return subprocess.run(command, env={**os.environ, **told}, check=False).returncode
        for name, value in told.items():
            print(f"export {name}={value}", flush=True)  # noqa: T201
        signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
