"""A member is made around its data, be its machine there or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest

from pgstead.clusters.etcd_machine import EtcdMachines
from pgstead.clusters.groups import group
from pgstead.clusters.patroni_machine import PatroniMachines
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
    """Machines that are there, with data or without; or that are gone, and their data kept."""

    there: bool
    data: bool

    def reach(self, machine: str) -> Ground:
        if not self.there:
            raise PlatformError(f"{machine} is not there")
        return self

    def run(self, argv: list[str]) -> Finished:
        return Finished(tuple(argv), 0 if self.data else 1, "", "")

    def keeps_data(self, machine: str) -> bool:
        assert not self.there, "what can be looked at is looked at"
        return self.data


@pytest.mark.parametrize("data", [True, False])
@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("kind", [EtcdMachines, PatroniMachines])
def test_a_machine_that_is_gone_may_have_data(
    kind: type[EtcdMachines | PatroniMachines], *, there: bool, data: bool
) -> None:
    platform = cast("Platform", Ground(there, data))
    machines = kind(platform, group([MACHINE]), {}, lambda _: ())
    assert machines._has_data(MACHINE) is data
