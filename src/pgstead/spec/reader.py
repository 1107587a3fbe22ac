"""YAML (and so JSON) to a tree of plain values, keeping the line of every key and item.

The tree is built from the parser's events and not composed by the library: so duplicate
keys are seen, depth and aliases are bounded before memory or the stack run out, and
values follow the stricter rules of `scalars`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pgstead.errors import SpecError
from pgstead.spec import scalars
from pgstead.spec.source import Mark, SourceMap, Tree, TreePath

MAX_DEPTH = 40
MAX_COPIES = 100_000
"""How many values all aliases of a file may add up to."""

_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_TEXT_TAG = "tag:yaml.org,2002:str"
_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"  # YAML's own set
)
_SURROGATES = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB]\w{2})\\u([dD][c-fC-F]\w{2})")


class _Node(NamedTuple):
    value: Tree
    mark: Mark
    depth: int
    size: int
    plain: bool = False


def read(text: str, source: SourceMap) -> tuple[dict[str, Tree], Mark]:
    """The mapping that `text` holds, and its marks. Raises `SpecError` with file and line."""
    _check_characters(text, source)
    try:
        node = _Reader(source, yaml.parse(_without_surrogates(text), Loader=_LOADER)).document()
    except yaml.YAMLError as error:
        raise _syntax(error, source) from None
    if node is None or node.value is None:
        raise source.error((), "the file is empty", hint="A stack file needs at least a name.")
    if not isinstance(node.value, dict):
        raise source.error((), "a stack file is a mapping of keys, e.g. `name: quickstart`")
    return node.value, node.mark


def _check_characters(text: str, source: SourceMap) -> None:
    found = _UNPRINTABLE.search(text)
    if found:
        line = text.count("\n", 0, found.start()) + 1
        code = f"U+{ord(found[0]):04X}"
        raise SpecError(f"{source.name}:{line}: the character {code} cannot stand in YAML")


def _without_surrogates(text: str) -> str:
    """JSON writes characters beyond U+FFFF as two escapes, which YAML does not know."""
    if not text.lstrip().startswith("{"):
        return text

    def one(found: re.Match[str]) -> str:
        high, low = int(found[2], 16), int(found[3], 16)
        return f"{found[1]}\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08x}"

    return _SURROGATES.sub(one, text)


def _syntax(error: yaml.YAMLError, source: SourceMap) -> SpecError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    words = getattr(error, "problem", None) or getattr(error, "reason", None) or "not valid YAML"
    context = getattr(error, "context", None)
    place = f":{mark.line + 1}:{mark.column + 1}" if mark else ":1"
    return SpecError(
        f"{source.name}{place}: this is not valid YAML: {words}"
        + (f" ({context})" if context else ""),
        hint="Check the indentation, the quotes and the brackets around that line.",
    )


@dataclass
class _Reader:
    source: SourceMap
    events: Iterator[Any]
    anchors: dict[str, _Node] = field(default_factory=dict)
    copies: int = 0

    def document(self) -> _Node | None:
        """The only document's node, None where there is none."""
        node: _Node | None = None
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                if node is not None:
                    raise self._error(event, (), "a stack file is one document, this is a second")
                node = self._node(next(self.events), ())
        return node

    def _node(self, event: Any, path: TreePath) -> _Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        if len(path) > MAX_DEPTH:
            raise self._error(event, (), f"values are nested more than {MAX_DEPTH} levels deep")
        node = self._value(event, path)
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def _value(self, event: Any, path: TreePath) -> _Node:
        if event.tag not in (None, "!", _TEXT_TAG):
            raise self._error(event, path, f"the YAML tag {event.tag} is not supported")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(event, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(event, path)
        plain = event.style in (None, "") and event.tag is None
        value = scalars.resolve(event.value) if plain else event.value
        return _Node(value, _mark(event), 0, 1, plain)

    def _alias(self, event: Any, path: TreePath) -> _Node:
        node = self.anchors.get(event.anchor)
        if node is None:
            raise self._error(event, path, f"the alias *{event.anchor} has no anchor before it")
        self.copies += node.size
        if self.copies > MAX_COPIES or len(path) + node.depth > MAX_DEPTH:
            raise self._error(event, path, f"the alias *{event.anchor} makes the file too large")
        return node._replace(mark=_mark(event, node.mark.children))

    def _sequence(self, start: Any, path: TreePath) -> _Node:
        nodes: list[_Node] = []
        for event in self.events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            nodes.append(self._node(event, (*path, len(nodes))))
        children: dict[str | int, Mark] = {at: node.mark for at, node in enumerate(nodes)}
        return _node_of([node.value for node in nodes], _mark(start, children), nodes)

    def _mapping(self, start: Any, path: TreePath) -> _Node:
        nodes: dict[str, _Node] = {}
        merged: dict[str, _Node] = {}
        for event in self.events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._key(event, path, nodes)
            node = self._node(next(self.events), (*path, key))
            if key == "<<" and event.style in (None, ""):
                merged = self._merge(event, path, node) | merged
            else:
                nodes[key] = node._replace(mark=_mark(event, node.mark.children))
        if merged:
            nodes = nodes | {key: node for key, node in merged.items() if key not in nodes}
        children: dict[str | int, Mark] = {key: node.mark for key, node in nodes.items()}
        values = {key: node.value for key, node in nodes.items()}
        return _node_of(values, _mark(start, children), list(nodes.values()))

    def _key(self, event: Any, path: TreePath, nodes: dict[str, _Node]) -> str:
        if isinstance(event, yaml.AliasEvent) or not isinstance(event, yaml.ScalarEvent):
            raise self._error(event, path, "a key must be plain text")
        key: str = event.value
        if key in nodes:
            first = nodes[key].mark.line
            place = (*path, key)
            raise self._error(event, place, f"this key was given before, on line {first}")
        return key

    def _merge(self, event: Any, path: TreePath, node: _Node) -> dict[str, _Node]:
        """The keys that `<<` brings in; those of an earlier mapping in a list win."""
        several = isinstance(node.value, list)
        mappings = node.value if several else [node.value]
        keys: dict[str, _Node] = {}
        for at, mapping in enumerate(mappings):
            if not isinstance(mapping, dict):
                raise self._error(event, path, "`<<` merges mappings: it takes *an-alias to one")
            marks = node.mark.children[at].children if several else node.mark.children
            for key, value in mapping.items():
                keys.setdefault(key, _Node(value, marks[key], node.depth, 1))
        return keys

    def _error(self, event: Any, path: TreePath, message: str) -> SpecError:
        here = SourceMap(self.source.name, Path(), Mark(event.start_mark.line + 1, 1))
        return here.error(path, message)


def _mark(event: Any, children: Any = None) -> Mark:
    start = event.start_mark
    if children is None:
        return Mark(start.line + 1, start.column + 1)
    return Mark(start.line + 1, start.column + 1, children)


def _node_of(value: Tree, mark: Mark, nodes: list[_Node]) -> _Node:
    depth = 1 + max((node.depth for node in nodes), default=0)
    return _Node(value, mark, depth, 1 + sum(node.size for node in nodes))
