"""An upper bound as a sum whose terms say what they are and who says so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Term:
    """Seconds that something takes at most, in words, with the source of the figure."""

    seconds: float
    words: str
    source: str


@dataclass(frozen=True, slots=True)
class Bound:
    """How long writes stop at most. Without an end of its own, `endless` says what ends it."""

    terms: tuple[Term, ...] = ()
    endless: str | None = None
    note: str = ""

    @property
    def seconds(self) -> float | None:
        """The sum; None where only what `endless` says ends it."""
        return None if self.endless else round(sum(term.seconds for term in self.terms), 3)

    @property
    def reason(self) -> str:
        """The sum in words, e.g. `20 s the leader's lease runs out + 0.5 s ...`."""
        words = self.endless or " + ".join(
            f"{term.seconds:g} s {term.words}" for term in self.terms
        )
        return f"{words}; {self.note}" if words and self.note else words or self.note

    @property
    def sources(self) -> tuple[str, ...]:
        """Who says so, each once."""
        return tuple(dict.fromkeys(term.source for term in self.terms))


def total(*parts: Iterable[Term], note: str = "") -> Bound:
    """The bound that these terms, one after another, add up to."""
    return Bound(tuple(term for part in parts for term in part), note=note)


def until(words: str) -> Bound:
    """No bound: writes stop until what the words say."""
    return Bound(endless=words)


def no_outage(why: str) -> Bound:
    """Writes go on."""
    return Bound(note=why)
