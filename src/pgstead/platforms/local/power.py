"""Power: whether a machine is on, and cutting it off at once."""

from __future__ import annotations

import signal

from pgstead.errors import Refused
from pgstead.platforms.base import Power
from pgstead.platforms.local import processes
from pgstead.platforms.local.services import Services
from pgstead.waiting import wait

FREEZE_SECONDS = 5.0


def power(services: Services) -> Power:
    """On while any process of the machine lives; the boot is its oldest process."""
    mine = services.mine()
    return Power(bool(mine), mine[0].identity if mine else "")


def power_off(services: Services, boot: str) -> None:
    """Kill every process of that boot and verify that all are gone; nothing starts again.

    All are frozen first, so that none of them can answer to the death of another: no
    clean shutdown, no last word to a client, as when the power goes.
    """
    name = services.card.machine
    now = power(services)
    if now.on and now.boot != boot:
        raise Refused(
            f"{name} is not at boot {boot} any more but at {now.boot}: it was not powered off",
            hint="look at the machine again, and decide again",
        )
    services.supervisor.deactivate(name)
    wait(lambda: _all_frozen(services), deadline=FREEZE_SECONDS, what=f"{name} to be frozen")
    services.cut_off()


def _all_frozen(services: Services) -> bool | None:
    """Freeze all of them; a process started meanwhile by one not yet frozen takes another round."""
    moving = [one for one in services.mine() if not processes.is_frozen(one)]
    for process in moving:
        processes.send(process, signal.SIGSTOP)
    return None if moving else True
