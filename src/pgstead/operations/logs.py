"""Print a machine's logs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pgstead.errors import SpecError
from pgstead.operations.session import open_session
from pgstead.redaction import redact


def logs(
    file: Path, machine: str, service: str | None, *, follow: bool, lines: int
) -> Iterator[str]:
    """The last `lines` lines of a service, or of all of a machine's, then new ones as they come.

    Raises `SpecError` for a machine or service that the stack does not have, `StateError`
    if the stack is not up.
    """
    with open_session(file) as session:
        session.must_exist()
        found = session.machine(machine)
        names = [each.name for each in found.software.services if not each.guest_only]
        if service and service not in names:
            raise SpecError(
                f"{machine} has no service {service}", hint=f"it has {', '.join(names)}"
            )
        if follow and not service and len(names) > 1:
            raise SpecError("one service at a time can be followed", hint=f"of {', '.join(names)}")
        reach = session.platform.reach(machine)
        for name in [service] if service else names:
            yield from map(redact, reach.logs(name, follow=follow, lines=lines))
