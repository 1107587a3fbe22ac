"""Power: whether a machine is on, and cutting it off at once."""

from __future__ import annotations

import signal

from pgstead.errors import Refused
from pgstead.platforms.base import Power
from pgstead.platforms.local import processes
from pgstead.platforms.local.services import Services
from pgstead.waiting import wait

FREEZE_SECONDS = 20.0
"""For all of a machine's processes to stand still: a machine under load looks at them slowly."""


def power(services: Services) -> Power:
    """On while any process of the machine lives; the boot is its oldest process."""
    mine = services.mine()
    return Power(bool(mine), mine[0].identity if mine else "")


def check_boot(services: Services, boot: str) -> None:
    """Raise `Refused` if the machine is on, but not at that boot."""
    now = power(services)
    if now.on and now.boot != boot:
        raise Refused(
            f"{services.card.machine} is not at boot {boot} any more but at {now.boot}:"
            " nothing was done to it",
            hint="look at the machine again, and decide again",
        )


def power_off(services: Services, boot: str) -> None:
    """Kill every process of that boot and verify that all are gone; nothing starts again.

    All are frozen first, so that none of them can answer to the death of another: no
    clean shutdown, no last word to a client, as when the power goes.
    """
    check_boot(services, boot)
    services.supervisor.deactivate(services.card.machine)
    freeze(services)
    services.cut_off()


def freeze(services: Services) -> None:
    """Stop every process of the machine by a signal that none of them can catch."""
    name, told = services.card.machine, set[str]()
    wait(lambda: _all_frozen(services, told), deadline=FREEZE_SECONDS, what=f"{name} to be frozen")


def thaw(services: Services) -> None:
    """Have all of its processes go on; those that do not stand still do not notice."""
    name = services.card.machine
    wait(lambda: _all_thawed(services), deadline=FREEZE_SECONDS, what=f"{name} to go on")


def _all_thawed(services: Services) -> bool:
    """All are told: one that the kernel holds would otherwise stop later, as it was told before.

    One that a process not yet stopped started meanwhile takes another round.
    """
    mine = services.mine()
    for process in mine:
        processes.send(process, signal.SIGCONT)
    return not any(map(processes.is_frozen, mine))


def _all_frozen(services: Services, told: set[str]) -> bool | None:
    """Freeze all of them; a process started meanwhile by one not yet frozen takes another round.

    One that the kernel holds, and that was `told`, does nothing more either. It may never stop:
    who started a program waits in the kernel until that runs, and it may stand still before it
    does (vfork(2)).
    """
    moving = [
        one
        for one in services.mine()
        if not processes.is_frozen(one) and not (one.identity in told and processes.is_held(one))
    ]
    for process in moving:
        processes.send(process, signal.SIGSTOP)
        told.add(process.identity)
    return None if moving else True
