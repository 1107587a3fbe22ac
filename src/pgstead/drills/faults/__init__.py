"""What a drill can break: a file per kind of fault.

`choosing` finds whom a fault is for and what keeps it from being done; `striking` does damage,
`undoing` brings it back, and `notes` keeps what has to be brought back for whoever comes after a
drill that was killed. What is done to machines is the platform's (`platforms.breaking`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pgstead.drills.fault import Fault
from pgstead.drills.faults import (
    clock,
    cut,
    disk,
    etcd,
    freezing,
    machines,
    planned,
    processes,
)

__all__ = ["ALL"]

_EVERY: tuple[Fault, ...] = (
    *processes.FAULTS,
    *machines.FAULTS,
    *freezing.FAULTS,
    *planned.FAULTS,
    *etcd.FAULTS,
    *cut.FAULTS,
    *disk.FAULTS,
    *clock.FAULTS,
)

ALL: Mapping[str, Fault] = MappingProxyType({fault.name: fault for fault in _EVERY})
"""Every fault by its name."""
