"""Secrets this process knows, taken out of every text that it shows or keeps."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

SHORTEST = 6
"""Shorter secrets would blank out ordinary words; they are refused as passwords anyway."""

_known: list[str] = []
"""The longest first, since a secret may hold another one."""


def remember(secrets: Iterable[str]) -> None:
    """Take these values out of every text from now on, quoted as they may be."""
    new = {form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)}
    _known[:] = sorted(new.union(_known), key=len, reverse=True)


def _forms(secret: str) -> Iterator[str]:
    """As it is, and within the quotes of JSON and YAML, of SQL and postgresql.conf, of a shell."""
    yield secret
    for ascii_only in (True, False):
        yield json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
    doubled = secret.replace("'", "''")
    yield doubled
    yield doubled.replace("\\", "\\\\")
    yield secret.replace("'", "'\"'\"'")


def redact(text: str) -> str:
    """`text` with every known secret replaced by `***`."""
    for secret in _known:
        if secret in text:
            text = text.replace(secret, "***")
    return text
