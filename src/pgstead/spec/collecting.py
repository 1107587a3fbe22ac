"""What is wrong in several places, told at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pgstead.errors import SpecError
from pgstead.spec.source import SourceMap

T = TypeVar("T")


class Collected:
    """The problems of parts that do not depend on each other."""

    def __init__(self, source: SourceMap) -> None:
        self._source = source
        self._lines: dict[str, None] = {}
        self._hint: str | None = None

    def attempt(self, part: Callable[[], T]) -> T | None:
        """What `part` gives; None if it raised `SpecError`, whose lines are kept."""
        try:
            return part()
        except SpecError as error:
            self._lines.update(dict.fromkeys(error.message.splitlines()))
            self._hint = self._hint or error.hint
        return None

    @property
    def any(self) -> bool:
        """Whether something was wrong so far."""
        return bool(self._lines)

    def tell(self) -> None:
        """Raise one `SpecError` with all of them, in the file's order, if there are any."""
        if self._lines:
            raise SpecError("\n".join(sorted(self._lines, key=self._number)), hint=self._hint)

    def _number(self, line: str) -> int:
        """The number after the file's name; 0 for what has none."""
        number = line.removeprefix(f"{self._source.name}:").partition(":")[0]
        return int(number) if number.isdigit() else 0
