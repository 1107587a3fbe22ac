"""The variables as the plain settings that `pgstead.timings` works on."""

from __future__ import annotations

from pgstead.modules.etcd_server.variables import EtcdServer
from pgstead.timings.settings import Etcd

__all__ = ["etcd_timings"]


def etcd_timings(variables: EtcdServer, members: int) -> Etcd:
    """Those of an etcd cluster of so many members. How far apart they are no variable says."""
    return Etcd(
        members=members,
        heartbeat_interval=variables.etcd.heartbeat_interval / 1000,
        election_timeout=variables.etcd.election_timeout / 1000,
        round_trip=None,
    )
