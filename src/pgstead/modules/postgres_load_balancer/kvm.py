"""A load balancer by its name of old."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from pgstead.modules.parts.kvm import KvmGuest
from pgstead.modules.parts.model import problem
from pgstead.modules.postgres_load_balancer.variables import PostgresLoadBalancer

__all__ = ["KvmPostgresLoadBalancer"]


class KvmPostgresLoadBalancer(KvmGuest, PostgresLoadBalancer):
    """Variables of the module `kvm-postgres-load-balancer`, with its rules of old.

    They are those of `postgres-load-balancer`.
    """

    source: Literal["kvm-postgres-load-balancer"] = Field(
        default="kvm-postgres-load-balancer", description="The module."
    )

    @model_validator(mode="after")
    def _one_kind_of_interface(self) -> Self:
        if self.macvtap_interfaces and (self.libvirt_network or self.libvirt_networks):
            words = "goes instead of a libvirt network, not beside it"
            raise problem(words, "macvtap_interfaces")
        return self

    @model_validator(mode="after")
    def _finds_its_members_by_name(self) -> Self:
        if self.haproxy.postgres_domain is None:
            words = "is required; postgres-load-balancer also takes members by address"
            raise problem(words, "haproxy", "postgres_domain")
        return self
