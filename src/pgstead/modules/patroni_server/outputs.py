"""What other modules may use of a Patroni member."""

from __future__ import annotations

from collections.abc import Mapping

from pgstead.modules.outputs import Output, endpoint

__all__ = ["OUTPUTS"]

OUTPUTS: Mapping[str, Output] = {"endpoint": endpoint(5432), "api_endpoint": endpoint(4443)}
