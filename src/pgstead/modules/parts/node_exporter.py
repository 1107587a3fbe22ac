"""Prometheus' node exporter, on machines with a kernel of their own."""

from __future__ import annotations

from pgstead.machine import Package, Service, Software, User, binary
from pgstead.modules.base import Context
from pgstead.spec.machines import NodeExporter

__all__ = ["SERVICE", "NodeExporter", "node_exporter_software"]

SERVICE = "prometheus-node-exporter"
"""The package, the program, and its unit, which ours stands in for."""

USER = "prometheus"


def node_exporter_software(
    variables: NodeExporter, context: Context, address: str, *, install: bool
) -> Software:
    """The software of a machine with metrics; nothing where a kernel is shared."""
    if not variables.enabled or context.facts.shares_kernel:
        return Software()
    command = (binary(SERVICE), f"--web.listen-address={address}:{variables.port}")
    service = Service(
        SERVICE, command, user=USER, stop_seconds=10, port=variables.port, guest_only=True
    )
    return Software(
        packages=(Package(SERVICE),) if install else (),
        users=(User(USER),),
        services=(service,),
    )
