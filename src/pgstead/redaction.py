"""Secrets this process knows, taken out of every text that it shows or keeps."""

from __future__ import annotations

from collections.abc import Iterable

SHORTEST = 6
"""Shorter secrets would blank out ordinary words; they are refused as passwords anyway."""

_known: set[str] = set()


def remember(secrets: Iterable[str]) -> None:
    """Take these values out of every text from now on."""
    _known.update(secret for secret in secrets if len(secret) >= SHORTEST)


def redact(text: str) -> str:
    """`text` with every known secret replaced by `***`, the longest first."""
    for secret in sorted(_known, key=len, reverse=True):
        if secret in text:
            text = text.replace(secret, "***")
    return text
