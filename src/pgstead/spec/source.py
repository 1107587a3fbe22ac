"""Where in a stack file a value stands, and what the file reads from outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from pgstead.errors import SpecError

Tree = Any
"""Parsed YAML: dict with text keys, list, str, int, float, bool or None."""

TreePath = tuple[str | int, ...]
"""Keys and list positions from the top of the file down to a value."""

_NOTHING: Mapping[Any, Any] = MappingProxyType({})


class Mark(NamedTuple):
    """Where a key or a list's item stands (counted from 1), and what lies below it."""

    line: int
    column: int
    children: Mapping[str | int, Mark] = _NOTHING


_LONGEST_KEY = 80
_TOP = Mark(1, 1)


@dataclass(frozen=True, slots=True)
class SourceMap:
    """A stack file's lines.

    `name` is the file as the user named it, `folder` what relative paths in it start from.
    `aliases` say where paths that the file does not have come from: an expanded cluster's
    modules come from `cluster`. `outside` holds the texts that `${file:...}` and
    `${env:...}` stand for, by the reference's inner text.
    """

    name: str
    folder: Path
    root: Mark = _TOP
    aliases: Mapping[TreePath, TreePath] = field(default_factory=lambda: _NOTHING, repr=False)
    outside: Mapping[str, str] = field(default_factory=lambda: _NOTHING, repr=False)

    def mark(self, path: TreePath) -> Mark:
        """The mark at `path`, or that of its nearest parent in the file."""
        found = self.root
        for key in self._written(path):
            below = found.children.get(key)
            if below is None:
                break
            found = below
        return found

    def where(self, path: TreePath) -> str:
        """`file:line` of the value at `path`, or of its nearest parent in the file."""
        return f"{self.name}:{self.mark(path).line}"

    def error(self, path: TreePath, message: str, *, hint: str | None = None) -> SpecError:
        """A `SpecError` that begins with file, line and field."""
        return SpecError(self.line(path, message), hint=hint)

    def line(self, path: TreePath, message: str) -> str:
        """`file:line: field: message`, the form of every problem in a stack file."""
        place = f"{dotted(path)}: " if path else ""
        return f"{self.where(path)}: {place}{message}"

    def _written(self, path: TreePath) -> TreePath:
        for length in range(len(path), 0, -1):
            if (alias := self.aliases.get(path[:length])) is not None:
                return alias + path[length:]
        return path


def dotted(path: TreePath) -> str:
    """A path in words: `modules.etcd-1.cluster.initial_members[0].name`."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{_word(key)}" if text else _word(key)
    return text


def _word(key: str) -> str:
    """A key as it can stand in a line; one that could not is quoted and cut."""
    return key if key.isprintable() and len(key) <= _LONGEST_KEY else repr(key[:_LONGEST_KEY])
