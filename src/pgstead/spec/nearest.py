"""The nearest known name for one that is misspelt."""

from __future__ import annotations

from collections.abc import Iterable

_LISTED = 12


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like `name`, None where none is like it."""
    from difflib import get_close_matches  # noqa: PLC0415 - needed for errors only

    names = sorted(set(known))
    folded = {one.casefold().replace("-", "_"): one for one in names}
    wanted = name.casefold().replace("-", "_")
    close = get_close_matches(wanted, folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def suggestion(name: str, known: Iterable[str]) -> str:
    """`; did you mean X?`, or the known names where none is near and they are few."""
    names = sorted(set(known))
    close = nearest(name, names)
    if close:
        return f"; did you mean {close}?"
    if 0 < len(names) <= _LISTED:
        return f"; known are {', '.join(names)}"
    return ""
