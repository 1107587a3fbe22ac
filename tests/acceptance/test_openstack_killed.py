"""Each service of the cloud is killed at each change that an `up` asks it for, and `up` run again.

What the next run finds is what the last change left: it is the same whether a process died right
after that change or right before the next one. So each change is once the last that was made,
and each service that is asked for changes dies once before it did anything at all.

What a service had only begun when it died, it has forgotten. The clock of the next run is ahead
then, so that nobody has to wait until the time for it is up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import cycle
from typing import Any
from unittest import mock

import pytest

from pgstead.engine.plan import Action
from pgstead.errors import PgsteadError
from pgstead.machine import Disk, Machine
from pgstead.platforms.openstack import patience
from pgstead.waiting import wait
from support.machines import machine
from support.openstack.faults import CHANGES, CLIENTS, Fault, Request
from support.openstack.lab import Lab
from support.openstack.services import SERVICES
from support.openstack.stage import Room, Stage, here, room_in

pytest.importorskip("openstack")
pytestmark = [pytest.mark.real, pytest.mark.xdist_group("openstack_killed")]

AN_HOUR = timedelta(hours=1)
"""More than the cloud may take for a volume or a server."""

DEATH_SECONDS = 60.0
SERVICES_THEMSELVES = f"^(?!.*{CLIENTS})"
"""As `Fault.agent`: one service that asks another."""


@dataclass(frozen=True)
class Refusal:
    """How a change is refused, what is said then, and how often it is asked for in one run."""

    answer: dict[str, Any]
    told: str
    tries: int


REFUSALS = (
    Refusal({"status": 429, "headers": {"Retry-After": "0"}}, "takes no more requests", 5),
    Refusal({"status": 503}, "the cloud failed", 1),
)

WHOLE = {"servers": 1, "ports": 1, "volumes": 2, "security groups": 1, "server groups": 1}


@dataclass(frozen=True)
class Death:
    """Which service dies at which request; after it has done what was asked, or before.

    If it `forgets`, it would have worked on after its answer.
    """

    service: str
    method: str
    path: str
    late: bool = True
    agent: str = CLIENTS
    forgets: bool = False
    skip: int = 0

    def is_at(self, request: Request) -> bool:
        """Whether it is that request that it dies at."""
        told = ((self.method, request.method), (f"{self.path}$", request.path))
        mine = self.service == request.service and re.search(self.agent, request.agent)
        return bool(mine) and all(re.search(pattern, text) for pattern, text in told)

    @property
    def fault(self) -> Fault:
        asked = Fault(method=self.method, path=f"{self.path}$", agent=self.agent)
        return replace(asked, late=self.late, skip=self.skip, die=True)


MADE = (
    Death("neutron", "POST", "/security-groups"),
    Death("neutron", "POST", "/security-group-rules"),
    Death("cinder", "POST", "/volumes", forgets=True),  # the system's
    Death("cinder", "POST", "/volumes", skip=1, forgets=True),  # the data's, after another of those
    Death("neutron", "POST", "/ports"),
    Death("nova", "POST", "/os-server-groups"),
    Death("nova", "POST", "/servers", forgets=True),
    Death("cinder", "POST", "/volumes/[^/]+/metadata"),
    Death("nova", "POST", "/servers/[^/]+/metadata"),
)
"""All changes that an `up` of one machine asks for, in their order."""

AMONG_THEMSELVES = (
    Death("glance", "GET", "/images/[^/]+", agent=SERVICES_THEMSELVES),
    Death("placement", "PUT", "/allocations/[^/]+", agent=SERVICES_THEMSELVES),
    Death("cinder", "POST", "/attachments", agent=SERVICES_THEMSELVES),
    Death("cinder", "PUT", "/attachments/[^/]+", agent=SERVICES_THEMSELVES),
    Death("cinder", "POST", "/attachments/[^/]+/action", agent=SERVICES_THEMSELVES),
    Death("neutron", "PUT", "/ports/[^/]+", agent=SERVICES_THEMSELVES),
)
"""All changes that services ask each other for, while they do what `up` asked for; and what they
need of glance, where nothing is changed."""

TOKEN = Death("keystone", "POST", "/auth/tokens")


@pytest.fixture
def room(openstack_lab: Lab) -> Iterator[Room]:
    with room_in(openstack_lab) as made:
        yield made
        for service in dead_ones(openstack_lab):  # the test failed, and others go on with the lab
            openstack_lab.start(service)


def wanted() -> Machine:
    """A machine with a port, a data volume and, by the stage's settings, one that it boots from."""
    made = here(machine(), 11)
    return replace(made, guest=replace(made.guest, os_disk=Disk("os")))


def deaths() -> Iterator[Death]:
    """After each change, and for each service right before its first one too."""
    yield TOKEN
    known = set()
    for death in MADE:
        if death.service not in known:
            yield replace(death, late=False, forgets=False)
        known.add(death.service)
        yield death


def die(room: Room, stage: Stage, death: Death) -> None:
    """An `up` in which the service dies; it is started again, and remembers what it did."""
    with room.lab.failing(death.service, death.fault):
        with pytest.raises(PgsteadError) as told:
            stage.up(wanted())
        dead = wait(lambda: dead_ones(room.lab) or None, deadline=DEATH_SECONDS, what=f"{death}")
    assert dead == [death.service], told.value
    assert told.value.hint, told.value
    room.lab.start(death.service)


def die_at_each(room: Room, stage: Stage, deaths: Iterable[Death]) -> None:
    """One `up` after the other, each with a death, and one that ends well."""
    forgotten = False
    for death in deaths:
        with later() if forgotten else nullcontext():
            die(room, stage, death)
        forgotten = death.forgets
    stage.up(wanted())
    assert_whole(room, stage)


@contextmanager
def later() -> Iterator[None]:
    """An hour later."""
    with mock.patch.object(patience, "now", return_value=patience.now() + AN_HOUR):
        yield


def dead_ones(lab: Lab) -> list[str]:
    return [one for one in SERVICES if not lab.is_up(one)]


def assert_whole(room: Room, stage: Stage) -> None:
    """It is there once, with all that it has, and runs; there is nothing else."""
    assert stage.plan(wanted()).action is Action.NONE
    assert room.count() == WHOLE
    (guest,) = room.lab.guests.values()
    assert (guest.is_on, len(guest.ports), len(guest.volumes)) == (True, 1, 2)


def undo(room: Room, stage: Stage) -> None:
    stage.destroy()
    assert room.count() == {}


def test_killed_at_every_change(room: Room) -> None:
    stage = room.stage(boot_from_volume=True)
    die_at_each(room, stage, deaths())
    undo(room, stage)


def test_killed_while_services_ask_each_other(room: Room) -> None:
    stage = room.stage(boot_from_volume=True)
    die_at_each(room, stage, AMONG_THEMSELVES)
    undo(room, stage)


def test_refused_at_every_change(room: Room) -> None:
    stage = room.stage(boot_from_volume=True)
    with room.lab.watching() as asked:
        for change, refusal in zip(MADE, cycle(REFUSALS), strict=False):
            refuse(room, stage, change, refusal)
        stage.up(wanted())
    assert_whole(room, stage)
    assert_all(one for one in asked if one.status != "failed")
    undo(room, stage)


def refuse(room: Room, stage: Stage, change: Death, refusal: Refusal) -> None:
    """An `up` that is refused one change."""
    fault = replace(change.fault, die=False, late=False, **refusal.answer)
    with (
        room.lab.watching() as asked,
        room.lab.failing(change.service, fault),
        pytest.raises(PgsteadError, match=refusal.told) as told,
    ):
        stage.up(wanted())
    assert "run the same command again" in str(told.value.hint)
    assert len([one for one in asked if one.status == "failed"]) == refusal.tries


def assert_all(asked: Iterable[Request]) -> None:
    """What is listed here is all that an `up` asks a cloud to change; and it takes place."""
    changes = [one for one in asked if re.search(CHANGES, one.method)]
    ours = [one for one in changes if one.is_from_client and one.service != TOKEN.service]
    assert [one for one in ours if not any(each.is_at(one) for each in MADE)] == []
    listed = [each for each in (*MADE, *AMONG_THEMSELVES) if re.search(CHANGES, each.method)]
    assert [each for each in listed if not any(each.is_at(one) for one in changes)] == []
