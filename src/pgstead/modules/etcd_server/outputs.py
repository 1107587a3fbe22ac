"""What other modules may use of an etcd member."""

from __future__ import annotations

from collections.abc import Mapping

from pgstead.modules.outputs import Output, endpoint

__all__ = ["OUTPUTS"]

OUTPUTS: Mapping[str, Output] = {"endpoint": endpoint(2379)}
