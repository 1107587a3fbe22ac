"""What other modules may use of a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import SecretStr

from pgstead.modules.outputs import Output, OutputValue, Source, endpoint
from pgstead.modules.parts.model import reveal

__all__ = ["OUTPUTS"]


def _db_password(source: Source) -> OutputValue:
    """The password that pgstead made; "" where the stack file gives one."""
    if _is_given(source.get("postgres_password")):
        return OutputValue("", secret=True)
    return OutputValue(source.password("postgres"), secret=True)


def _is_given(password: object) -> bool:
    """A text, or what a reference made a secret; an empty one counts as none."""
    return bool(reveal(password) if isinstance(password, SecretStr) else password)


OUTPUTS: Mapping[str, Output] = {"endpoint": endpoint(5432), "db_password": _db_password}
