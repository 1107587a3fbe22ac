"""Write docs/stack-file.md from the models: every key, its type, default and meaning.

`--check` writes nothing and fails if the file is not what would be written.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

INTRODUCTION = """\
# Every key of a stack file

This file is written by `make docs` from the models that check a stack file; a test keeps it
current. `pgstead schema` prints the same as a JSON schema, for editors.

A stack file holds the keys of the first table, and either `cluster`, the short form, or
`modules`, which a cluster stands for: `pgstead expand` prints them. `a.b` is the key `b` within
`a`; `NAME` is any name you choose; `[]` is an item of a list. Where a default is empty,
leaving the key out means what its last column says.

A text may hold `${file:PATH}`, `${env:NAME}`, `${passwords.NAME}` and
`${modules.NAME.OUTPUT}`. A lone `${...}` keeps its type, and what is secret stays secret.
"""
PLACE = Path(__file__).resolve().parent.parent / "docs" / "stack-file.md"
REQUIRED = "*required*"
_TYPES = {
    "string": "text",
    "boolean": "true or false",
    "integer": "integer",
    "number": "number",
    "null": "nothing",
}
_LIMITS = {
    "minimum": "{} or more",
    "exclusiveMinimum": "more than {}",
    "maximum": "{} at most",
    "exclusiveMaximum": "less than {}",
}


@dataclass(frozen=True)
class Key:
    """One line of a table; `name` is dotted, `[]` an item of a list, `NAME` any name."""

    name: str
    type: str
    default: str
    description: str

    def or_else(self, other: Key) -> Key:
        """The same key in two forms that a mapping may take, such as a platform's `kind`."""
        return replace(
            self,
            type=f"{self.type} or {other.type}",
            description=f"{self.type}: {self.description} {other.type}: {other.description}",
        )


Schema = Mapping[str, Any]


def keys(model: type[BaseModel]) -> list[Key]:
    """Every key of a model, and of the models within, in the order of their definition."""
    schema = model.model_json_schema()
    found: dict[str, Key] = {}
    for key in _Walk(schema.get("$defs", {})).model(schema, model, prefix="", seen=()):
        found[key.name] = found[key.name].or_else(key) if key.name in found else key
    return list(found.values())


@dataclass(frozen=True)
class _Walk:
    definitions: Mapping[str, Schema]

    def model(
        self, schema: Schema, model: type[BaseModel], *, prefix: str, seen: tuple[type, ...]
    ) -> Iterator[Key]:
        """The keys of one model; a model within itself is not followed."""
        if model in seen:
            return
        for name, info in model.model_fields.items():
            shown = info.alias or name
            property_ = schema["properties"][shown]
            yield Key(
                name=f"{prefix}{shown}",
                type=self.words(property_),
                default=_default(info),
                description=info.description or property_.get("description", ""),
            )
            for step, inner in _models(info.annotation):
                found = self.definitions[self._reference(property_, inner)]
                inside = f"{prefix}{shown}{step}."
                yield from self.model(found, inner, prefix=inside, seen=(*seen, model))

    def _reference(self, schema: Schema, model: type[BaseModel]) -> str:
        """Which definition a model has, of those that the property refers to."""
        found = [name for name in _references(schema) if name.split("__")[-1] == model.__name__]
        return found[0] if found else model.__name__

    def words(self, schema: Schema) -> str:
        """A type in words."""
        if choices := schema.get("anyOf") or schema.get("oneOf"):
            said = [self.words(choice) for choice in choices if choice.get("type") != "null"]
            return " or ".join(dict.fromkeys(said))
        if "enum" in schema:
            return " or ".join(_yaml(value) for value in schema["enum"])
        if "const" in schema:
            return _yaml(schema["const"])
        if "$ref" in schema:
            return self.words(self.definitions[schema["$ref"].rpartition("/")[2]])
        return self._plain(schema)

    def _plain(self, schema: Schema) -> str:
        kind: Any = schema.get("type")
        if isinstance(kind, list):
            return " or ".join(self.words({**schema, "type": one}) for one in kind)
        if kind == "array":
            return f"list of: {self.words(schema.get('items', {}))}"
        if kind == "object":
            values: Schema | bool | None = schema.get("additionalProperties")
            named = isinstance(values, Mapping) and values
            return f"names, each with: {self.words(named)}" if named else "mapping"
        secret = schema.get("format") == "password"
        limits = [text.format(schema[key]) for key, text in _LIMITS.items() if key in schema]
        return ", ".join(["secret text" if secret else _TYPES.get(kind, "any value"), *limits])


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        if "$ref" in schema:
            yield schema["$ref"].rpartition("/")[2]
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def _models(annotation: Any, step: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """The models in an annotation, and how to get at each: "", "[]" or ".NAME"."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield step, annotation
        return
    origin = getattr(annotation, "__origin__", None)
    inner = getattr(annotation, "__args__", ())
    if isinstance(origin, type) and issubclass(origin, Mapping):
        inner, step = inner[1:], f"{step}.NAME"
    elif isinstance(origin, type) and issubclass(origin, Sequence):
        step = f"{step}[]"
    for argument in inner:
        yield from _models(argument, step)


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return REQUIRED
    value = info.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, BaseModel):  # its own defaults stand in its own lines
        value = value.model_dump(exclude_unset=True, mode="json") or None
    return "" if value is None else _yaml(value)


def _yaml(value: Any) -> str:
    """A value as a stack file could hold it, on one line."""
    if isinstance(value, str) and value and not set(value) & set(" :#{}[],&*?|<>=!%@\"'`"):
        return f"`{value}`"
    return f"`{json.dumps(value, default=_plain_value, ensure_ascii=False)}`"


def _plain_value(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_unset=True, mode="json")
    if isinstance(value, SecretStr):
        return "…"
    return dict(value) if isinstance(value, Mapping) else str(value)


def table(model: type[BaseModel]) -> str:
    """A model's keys as a Markdown table."""
    rows = [
        f"| `{key.name}` | {_cell(key.type)} | {_cell(key.default)} | {_cell(key.description)} |"
        for key in keys(model)
    ]
    return "\n".join(["| Key | Type | Default | Meaning |", "| --- | --- | --- | --- |", *rows])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


@dataclass(frozen=True)
class Section:
    """A heading, a few words, and a model."""

    title: str
    model: type[BaseModel]

    def __str__(self) -> str:
        """The section in Markdown."""
        words = (self.model.__doc__ or "").strip().partition("\n\n")[0]
        return f"## {self.title}\n\n{' '.join(words.split())}\n\n{table(self.model)}\n"


def sections() -> Iterator[Section]:
    """Everything that a stack file may hold."""
    from pgstead.modules.registry import MODELS  # noqa: PLC0415 - so that --help needs neither
    from pgstead.spec.cluster import Cluster  # noqa: PLC0415
    from pgstead.spec.settings import StackSettings  # noqa: PLC0415

    yield Section("The top level", StackSettings)
    yield Section("`cluster`", Cluster)
    for source, model in MODELS.items():
        yield Section(f"`modules.NAME`, source: {source}", model)


def text() -> str:
    """The whole file."""
    return "\n".join([INTRODUCTION, *map(str, sections())])


def main() -> None:
    """Write the file, or check it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if the file is not current")
    check = parser.parse_args().check
    wanted = text()
    if not check:
        PLACE.write_text(wanted, encoding="utf-8")
    elif not PLACE.exists() or PLACE.read_text("utf-8") != wanted:
        sys.exit(f"docs/{PLACE.name} is not current\n  hint: make docs")


if __name__ == "__main__":
    main()
