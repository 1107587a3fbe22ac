"""A member is made around its data, be its machine there or not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import pytest

from pgstead.clusters.etcd_machine import EtcdMachines
from pgstead.clusters.etcd_membership import Seat, View
from pgstead.clusters.groups import group
from pgstead.clusters.patroni_machine import PatroniMachines
from pgstead.engine.resource import Recorded
from pgstead.errors import PlatformError
from pgstead.machine import Directory, Machine, Software
from pgstead.membership import EtcdMember, TlsClient
from pgstead.platforms.base import Platform
from pgstead.run import Finished

MACHINE = Machine(
    "etcd-1",
    "etcd-1",
    "10.0.0.1",
    Software(directories=(Directory("/var/lib/etcd", data=True),)),
    EtcdMember("main", "etcd-1", "10.0.0.1", TlsClient("ca", "crt", "key")),
)


@dataclass
class Ground:
    """Machines that are there, with data or without; or that are gone, and their data kept.

    None: it is on a volume that the stack file names.
    """

    there: bool
    data: bool | None

    def reach(self, machine: str) -> Ground:
        if not self.there:
            raise PlatformError(f"{machine} is not there")
        return self

    def run(self, argv: list[str]) -> Finished:
        return Finished(tuple(argv), 0 if self.data else 1, "", "")

    def keeps_data(self, machine: str) -> bool | None:
        assert not self.there, "what can be looked at is looked at"
        return self.data


def data_is_there(
    kind: type[EtcdMachines | PatroniMachines],
    ground: Ground,
    machine: Machine,
    view: View | None = None,
    *,
    established: bool = False,
) -> bool:
    """What is said of that machine, the only one of its cluster or beside others."""
    recorded = {"etcd.main": Recorded("etcd.main", "etcd", {})} if established else {}
    known = kind(cast("Platform", ground), group([machine]), recorded, lambda _: ())
    return (
        known._has_data(machine, view)
        if isinstance(known, EtcdMachines)
        else known._has_data(machine)
    )


@pytest.mark.parametrize("data", [True, False])
@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("kind", [EtcdMachines, PatroniMachines])
def test_a_machine_that_is_gone_may_have_data(
    kind: type[EtcdMachines | PatroniMachines], *, there: bool, data: bool
) -> None:
    assert data_is_there(kind, Ground(there, data), MACHINE) is data


GIVEN = Ground(there=False, data=None)

MINE, OTHER = (Seat(n, f"etcd-{n}", f"https://10.0.0.{n}:2380", started=True) for n in (1, 2))


def test_a_volume_of_somebody_else_s_holds_the_data_of_a_member_that_served() -> None:
    assert data_is_there(EtcdMachines, GIVEN, MACHINE, View((MINE, OTHER)))
    assert data_is_there(EtcdMachines, GIVEN, MACHINE, established=True)
    assert data_is_there(PatroniMachines, GIVEN, MACHINE)


@pytest.mark.parametrize("seats", [(OTHER,), (replace(MINE, started=False), OTHER)])
def test_it_holds_nothing_of_a_member_that_is_new(seats: tuple[Seat, ...]) -> None:
    assert not data_is_there(EtcdMachines, GIVEN, MACHINE, View(seats), established=True)
    assert not data_is_there(EtcdMachines, GIVEN, MACHINE)


def test_what_can_be_looked_at_is_looked_at() -> None:
    there = Ground(there=True, data=False)
    assert not data_is_there(EtcdMachines, there, MACHINE, View((MINE, OTHER)), established=True)
