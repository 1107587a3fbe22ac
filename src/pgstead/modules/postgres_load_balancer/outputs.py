"""What other modules may use of a load balancer."""

from __future__ import annotations

from collections.abc import Mapping

from pgstead.modules.outputs import Output, OutputValue, Source, endpoint

__all__ = ["OUTPUTS"]


def _read_only(source: Source) -> OutputValue:
    """The endpoint for reads, or nothing where no such endpoint is served."""
    read_only = (source.get("haproxy") or {}).get("read_only") or {}
    if not read_only.get("enabled", False):
        return OutputValue(None)
    return OutputValue(f"{source.address}:{read_only.get('port', 5433)}")


OUTPUTS: Mapping[str, Output] = {"endpoint": endpoint(5432), "read_only_endpoint": _read_only}
