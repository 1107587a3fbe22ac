"""Secrets this process knows, taken out of every text that it shows or keeps."""

from __future__ import annotations

from collections.abc import Iterable

SHORTEST = 6
"""Shorter secrets would blank out ordinary words; they are refused as passwords anyway."""

_known: list[str] = []
"""The longest first, since a secret may hold another one."""


def remember(secrets: Iterable[str]) -> None:
    """Take these values out of every text from now on."""
    new = {secret for secret in secrets if len(secret) >= SHORTEST}
    _known[:] = sorted(new.union(_known), key=len, reverse=True)


def redact(text: str) -> str:
    """`text` with every known secret replaced by `***`."""
    for secret in _known:
        if secret in text:
            text = text.replace(secret, "***")
    return text
