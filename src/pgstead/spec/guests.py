"""What a cluster's machines are, as variables of its modules.

On libvirt hosts everything is written out, defaults too. Elsewhere only what the stack file
gives is, so that its modules say that it has no effect; in a cloud, sizes of data disks as well.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from pgstead.spec.cluster import Cluster
from pgstead.spec.libvirt import LibvirtPlatform
from pgstead.spec.machines import EtcdMachine, PostgresMachine, Sizes, data_size, os_size
from pgstead.spec.openstack import OpenStackPlatform
from pgstead.spec.settings import Platform
from pgstead.spec.source import Tree

_GIB = 1024**3
_POSTGRES_DATA = 20
_ZONES = "availability_zones"


@dataclass(frozen=True)
class Guests:
    """The variables that are about machines, by role."""

    cluster: Cluster
    platform: Platform

    def etcd(self, name: str) -> dict[str, Tree]:
        """Of an etcd member; a backend that is defragmented stands on its disk twice."""
        etcd = self.cluster.etcd
        room = 2 * -(-etcd.space_quota // _GIB) + 2
        found = {**self._sizes(name, etcd.machine, room), **self._alike()}
        if etcd.download is not None:
            found["etcd_download"] = etcd.download.model_dump()
        return found

    def postgres(self, name: str) -> dict[str, Tree]:
        """Of a PostgreSQL server."""
        postgres = self.cluster.postgres
        names = ("patroni_install", "package_source", "patroni_version")
        return {
            **self._sizes(name, postgres.machine, _POSTGRES_DATA),
            **self._alike(),
            **self._written(postgres, *names),
        }

    def patroni(self) -> dict[str, Tree]:
        """The part of it that stands among Patroni's settings.

        Data that is not synced as it is copied is later, from within: that needs a way in.
        """
        found = self._written(self.cluster.postgres, "watchdog")
        platform = self.platform
        if (isinstance(platform, LibvirtPlatform) and platform.reach == "none") or (
            isinstance(platform, OpenStackPlatform) and platform.delivery == "user_data"
        ):
            found["bootstrap_without_sync"] = False
        return found

    def balancer(self, name: str) -> dict[str, Tree]:
        """Of a load balancer."""
        return {**self._sizes(name, self.cluster.load_balancer.machine), **self._alike()}

    def _sizes(self, name: str, given: Sizes, data: int = 0) -> dict[str, Tree]:
        found = self._written(given, *(type(given).model_fields.keys() - {_ZONES}))
        found |= _zone(name, given.availability_zones)
        platform = self.platform
        if isinstance(platform, LibvirtPlatform):
            found["os_size"] = os_size(given, platform.os_size)
        if isinstance(platform, LibvirtPlatform | OpenStackPlatform) and isinstance(
            given, EtcdMachine | PostgresMachine
        ):
            found["data_size"] = data_size(given, platform.data_size, data)
        return found

    def _alike(self) -> dict[str, Tree]:
        machines = self.cluster.machines
        return self._written(machines, *type(machines).model_fields)

    def _written(self, model: BaseModel, *names: str) -> dict[str, Tree]:
        everything = isinstance(self.platform, LibvirtPlatform)
        wanted = {name for name in names if everything or name in model.model_fields_set}
        return model.model_dump(include=wanted, exclude_none=True, mode="json")


def _zone(name: str, zones: tuple[str, ...]) -> dict[str, Tree]:
    """The zone of the machine of that name, which ends in its number."""
    number = int(name.rpartition("-")[2])
    return {"availability_zone": zones[(number - 1) % len(zones)]} if zones else {}
