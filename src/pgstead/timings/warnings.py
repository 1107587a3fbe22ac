"""Findings as warnings of the module that they are about."""

from __future__ import annotations

from collections.abc import Iterator

from pgstead.timings.catalogue import VARIABLES
from pgstead.timings.rules import Finding, findings
from pgstead.timings.settings import Settings

__all__ = ["sentence", "sentences"]


def sentences(settings: Settings) -> Iterator[str]:
    """A whole sentence for each finding, with the variables' own names."""
    return map(sentence, findings(settings))


def sentence(found: Finding) -> str:
    """The finding's sentence."""
    return f"{VARIABLES[found.key]} {found.caution}"
