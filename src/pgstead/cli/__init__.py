"""The command line: arguments in, one operation, its result rendered.

Importing this package is cheap; each command imports what it needs.
"""

from __future__ import annotations

import gc
import sys

YOUNG = 200_000
"""Objects between two looks for circles: a command ends before many are worth one."""


def main() -> None:
    """Run the command line and leave with the exit code of the contract (docs/cli.md)."""
    gc.set_threshold(YOUNG)
    from pgstead.cli.app import app  # noqa: PLC0415 - keeps importing the package cheap
    from pgstead.cli.failure import guarded  # noqa: PLC0415
    from pgstead.cli.signals import install  # noqa: PLC0415

    install()
    sys.exit(guarded(lambda: app(standalone_mode=False)))
