"""An etcd member by its name of old."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from pgstead.modules.etcd_server.variables import EtcdServer
from pgstead.modules.parts.kvm import KvmGuest
from pgstead.modules.parts.model import problem

__all__ = ["KvmEtcdServer"]


class KvmEtcdServer(KvmGuest, EtcdServer):
    """Variables of the module `kvm-etcd-server`: as `etcd-server`, with its rules of old."""

    source: Literal["kvm-etcd-server"] = Field(default="kvm-etcd-server", description="The module.")

    @model_validator(mode="after")
    def _gateway_has_no_certificates(self) -> Self:
        """Etcd refuses a certificate with a common name there; `etcd-server` issues others."""
        if self.etcd.grpc_gateway_enabled and self.etcd.client_cert_auth:
            words = "must be false where grpc_gateway_enabled is true; etcd-server takes both"
            raise problem(words, "etcd", "client_cert_auth")
        return self
