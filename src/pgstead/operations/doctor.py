"""What this machine lacks for each platform, and the command that installs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pgstead.platforms.local.doctor import Finding


def doctor(*, fix: bool, say: Callable[[str], None]) -> Sequence[Finding]:
    """Look; with `fix`, install what is missing and look again. Tells what it does to `say`."""
    from pgstead.platforms.local import doctor as local  # noqa: PLC0415 - the platform's own

    findings = local.doctor()
    if fix and not all(finding.ok for finding in findings):
        local.fix(findings, say)
        findings = local.doctor()
    return findings
