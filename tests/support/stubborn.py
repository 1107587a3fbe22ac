"""pgstead with a first step that neither ends nor heeds an interruption.

python stubborn.py WORDS OF THE COMMAND...
"""

from __future__ import annotations

import time

from pgstead.cli import main
from pgstead.engine import apply
from pgstead.engine.plan import Change
from pgstead.engine.resource import Step

SECONDS = 60.0


def step(change: Change, step: Step, run: apply.Run) -> None:
    """Begin as the engine's own, and hang."""
    run.progress.step_started(change, step.title)
    time.sleep(SECONDS)


if __name__ == "__main__":
    apply._step = step
    main()
