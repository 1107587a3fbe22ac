"""What is allowed, but known to hurt."""

from __future__ import annotations

from pgstead.modules.base import Context
from pgstead.modules.etcd_server.variables import EtcdServer
from pgstead.modules.parts.certificates import lifetime_cautions
from pgstead.modules.parts.guest import without_effect
from pgstead.modules.parts.software import fact, numbers

__all__ = ["cautions"]

LARGEST_QUOTA = 8 * 1024**3
ON_GUESTS = ("etcd_download", "etcd_version", "fluentbit", "fluentbit_dynamic_config")


def cautions(variables: EtcdServer, context: Context) -> tuple[str, ...]:
    """Warnings about these variables, in whole sentences."""
    return (
        *lifetime_cautions(variables),
        *_quota(variables),
        *_version(variables, context),
        *without_effect(variables, context, *ON_GUESTS),
    )


def _quota(variables: EtcdServer) -> tuple[str, ...]:
    quota = variables.etcd.space_quota
    if quota <= LARGEST_QUOTA:
        return ()
    return (
        (
            f"etcd.space_quota {quota} is more than 8 GiB: etcd keeps its data in memory,"
            " and members with more take long to start."
        ),
    )


def _version(variables: EtcdServer, context: Context) -> tuple[str, ...]:
    wanted = None if context.facts.shares_kernel else variables.etcd_version
    version = fact(context, "etcd") if wanted is None else numbers(wanted)
    if version is None or not (3, 5, 1) <= version <= (3, 5, 19):
        return ()
    text = ".".join(str(number) for number in version)
    return (
        (
            f"etcd {text} can lose a promoted learner on the way to 3.6 (etcd issue 19557):"
            " upgrade to 3.5.20 or newer before members are replaced."
        ),
    )
