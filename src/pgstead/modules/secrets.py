"""The secrets that a stack file gives in a module's own variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol, runtime_checkable

from pydantic import BaseModel, SecretStr

__all__ = ["secrets_of"]


@runtime_checkable
class Derives(Protocol):
    """Variables from which further secret texts are made."""

    @property
    def derived_secrets(self) -> tuple[SecretStr, ...]:
        """What gives a secret away in other words, e.g. in base64."""


def secrets_of(value: object) -> Iterator[str]:
    """Every secret text in a model, at any depth.

    Those of several lines, such as private keys, are given line by line too: inside of other
    texts, each line may be indented. A line that only tells what a key is, is none.
    """
    if isinstance(value, SecretStr):
        yield from _texts(value.get_secret_value())
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from secrets_of(getattr(value, name))
        if isinstance(value, Derives):
            yield from secrets_of(value.derived_secrets)
    elif isinstance(value, Mapping):
        for below in value.values():
            yield from secrets_of(below)
    elif isinstance(value, list | tuple | frozenset):
        for below in value:
            yield from secrets_of(below)


def _texts(text: str) -> Iterator[str]:
    lines = text.splitlines()
    if len(lines) > 1:
        yield from (line for line in lines if line and not line.startswith("-----"))
    elif text:
        yield text
