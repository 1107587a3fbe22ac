"""A Patroni member by its name of old."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pgstead.modules.parts.kvm import KvmGuest
from pgstead.modules.patroni_server.variables import PatroniServer

__all__ = ["KvmPatroniServer"]


class KvmPatroniServer(KvmGuest, PatroniServer):
    """Variables of the module `kvm-patroni-server`: as `patroni-server`, with its rules of old."""

    source: Literal["kvm-patroni-server"] = Field(
        default="kvm-patroni-server", description="The module."
    )
