"""A command of a stack's that is killed at each of its points; see `support.killer`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from support.stack import Stack

KILLER = Path(__file__).with_name("killer.py")


def killed_at_every_step(stack: Stack, *words: str) -> set[str]:
    """Run a command until nothing kills it any more; the points at which it was killed."""
    command = (sys.executable, str(KILLER))
    done = stack.run(words[0], str(stack.file), *words[1:], "--yes", command=command)
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["code"] == 0, f"{done.stderr}\n{told['killed']}"
    killed = list(told["killed"])
    assert len(killed) == len(set(killed))
    return set(killed)
