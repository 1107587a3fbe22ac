"""What a test says, read from its file without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path


def of_test(file: Path, test: str) -> str:
    """The source of a test and of all that it uses of its own file: fixtures, helpers, constants.

    Raises `KeyError` if the file has no such test.
    """
    parts = _parts(file)
    found: dict[str, str] = {}
    wanted = [test]
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name], uses = parts[name]
            wanted += [one for one in uses if one in parts]
    return "\n".join(found.values())


@cache
def _parts(file: Path) -> dict[str, tuple[str, frozenset[str]]]:
    """What a file defines: its source, and the names that it uses."""
    text = file.read_text("utf-8")
    lines = text.splitlines()
    found = {}
    for node in ast.parse(text).body:
        for name in _defined(node):
            decorators = getattr(node, "decorator_list", [])
            first = min([node.lineno, *(one.lineno for one in decorators)])
            source = "\n".join(lines[first - 1 : node.end_lineno])
            found[name] = (source, frozenset(_used(node)))
    return found


def _defined(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    if isinstance(node, ast.Assign):
        yield from (one.id for one in node.targets if isinstance(one, ast.Name))


def _used(node: ast.stmt) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            yield part.id
        elif isinstance(part, ast.arg):  # a fixture
            yield part.arg
