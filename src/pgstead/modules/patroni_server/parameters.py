"""PostgreSQL's parameters: whose they are."""

from __future__ import annotations

from collections.abc import Iterable

from pgstead.modules.parts.postgresql import MACHINE_PARAMETERS

__all__ = ["refuse_managed"]

PATRONIS = frozenset(
    {
        "archive_cleanup_command",
        "cluster_name",
        "hot_standby",
        "primary_conninfo",
        "primary_slot_name",
        "promote_trigger_file",
        "recovery_end_command",
        "recovery_min_apply_delay",
        "recovery_target",
        "recovery_target_action",
        "recovery_target_inclusive",
        "recovery_target_lsn",
        "recovery_target_name",
        "recovery_target_time",
        "recovery_target_timeline",
        "recovery_target_xid",
        "restore_command",
        "synchronous_standby_names",
        "wal_log_hints",
    }
)
"""Set by Patroni, which ignores or overrides what others say (its documentation, "Dynamic
Configuration Settings")."""


def refuse_managed(names: Iterable[str]) -> None:
    """Raise `ValueError` for a parameter that is not the user's to set, or set twice."""
    seen: set[str] = set()
    for name in map(str.lower, names):
        if name in MACHINE_PARAMETERS:
            raise ValueError(f"the parameter {name} is managed by the module: leave it out")
        if name in PATRONIS:
            raise ValueError(f"the parameter {name} is managed by Patroni: leave it out")
        if name in seen:
            raise ValueError(f"the parameter {name} is given twice")
        seen.add(name)
