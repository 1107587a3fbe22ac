"""Addresses that others took since they were given: chosen anew, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgstead.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pgstead.operations.session import Session


def settle(session: Session) -> None:
    """See to it that every machine's address is its own.

    A machine of which nothing was made yet gets another one. Raises `Refused` for one that
    has its address in files, certificates and its cluster already, naming who took it.
    """
    given = session.materials.addresses()
    occupied = session.platform.occupied(given)
    if not occupied:
        return
    # Once machines were built with their addresses it is too late to give others.
    if "blueprint" not in vars(session):
        recorded = session.state.recorded()
        for name in occupied:
            if f"machine.{name}" not in recorded:
                session.materials.release_address(name)
    taken = {
        machine.name: occupied[machine.name]
        for machine in session.machines
        if machine.name in occupied and machine.address == given[machine.name]
    }
    if taken:
        raise _refusal(taken)


def _refusal(taken: Mapping[str, str]) -> Refused:
    lines = [f"{name}: {words}" for name, words in taken.items()]
    return Refused(
        "machines cannot run, since others took their addresses:\n  " + "\n  ".join(lines),
        hint="end what has them, or give it others; then run the command again",
    )
