"""The software of every machine, beside what it is there for."""

from __future__ import annotations

from pgstead.machine import Software
from pgstead.modules.base import Context
from pgstead.modules.parts.chrony import chrony_software
from pgstead.modules.parts.guest import Guest
from pgstead.modules.parts.node_exporter import node_exporter_software
from pgstead.modules.parts.software import combine

__all__ = ["common_software"]


def common_software(variables: Guest, context: Context, address: str) -> Software:
    """Time synchronisation, and the machine's metrics."""
    install = variables.install_dependencies
    return combine(
        chrony_software(variables.chrony, install=install),
        node_exporter_software(variables.node_exporter, context, address, install=install),
    )
