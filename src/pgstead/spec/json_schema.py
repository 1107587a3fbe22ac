"""The JSON schema of a stack file, for editors that complete and check while one types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from pgstead.spec.cluster import Cluster
from pgstead.spec.settings import FORMAT, StackSettings

DIALECT = "https://json-schema.org/draft/2020-12/schema"
REFERENCE = r"\$\{.*\}"

_Schema = dict[str, Any]

_NOTHING: _Schema = {"type": "null"}

_WORDS = ("title", "description", "default", "examples", "deprecated")
_AS_THEY_ARE = ("kind", "source", "version")
"""Keys that decide how the rest is read: no reference can stand there."""

_REFERENCE_TEXT: _Schema = {
    "type": "string",
    "pattern": REFERENCE,
    "description": "A reference: ${file:PATH}, ${env:NAME}, ${modules.KEY.OUTPUT} or "
    "${passwords.NAME}.",
}


def schema(module_models: Mapping[str, type[BaseModel]]) -> dict[str, Any]:
    """The JSON schema (2020-12) of a stack file.

    `module_models` holds, for each kind of module (`source`), the model of its variables.
    A value of any type but a mapping may also be a text that holds a reference.
    """
    mode: JsonSchemaMode = "validation"
    models: list[type[BaseModel]] = [StackSettings, Cluster, *module_models.values()]
    places, document = models_json_schema(
        [(model, mode) for model in models], ref_template="#/$defs/{model}"
    )
    definitions: dict[str, _Schema] = document.get("$defs", {})
    for source, model in module_models.items():
        _name_source(_definition(definitions, places[model, mode]), source)
    for definition in definitions.values():
        _open(definition, definitions)
    top = definitions.pop(_name(places[StackSettings, mode]))
    refs = {source: places[model, mode] for source, model in module_models.items()}
    return _stack_file(top, places[Cluster, mode], refs, definitions)


def _stack_file(
    top: _Schema, cluster: _Schema, modules: Mapping[str, _Schema], definitions: _Schema
) -> _Schema:
    properties = dict(top["properties"])
    properties["version"] = {**properties["version"], "const": FORMAT}
    properties["cluster"] = {
        "description": "The short form: a cluster, which stands for modules. Either this or "
        "modules.",
        "anyOf": [cluster, {"type": "null"}],
    }
    properties["modules"] = _modules(modules)
    return {
        "$schema": DIALECT,
        "title": "pgstead stack file",
        "description": "What should exist: a highly available PostgreSQL and what it stands on.",
        "type": "object",
        "properties": properties,
        "required": ["name"],
        "oneOf": [{"required": ["cluster"]}, {"required": ["modules"]}],
        "additionalProperties": False,
        "$defs": definitions,
    }


def _modules(modules: Mapping[str, _Schema]) -> _Schema:
    """Modules by name; `source` decides which model one is checked against."""
    kind = {"description": "The kind of module.", "enum": sorted(modules)}
    return {
        "description": "The long form: modules by name. Either this or cluster.",
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "required": ["source"],
            "properties": {"source": kind},
            "allOf": [
                {"if": {"properties": {"source": {"const": source}}}, "then": reference}
                for source, reference in modules.items()
            ],
        },
    }


def _name(reference: _Schema) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _definition(definitions: dict[str, _Schema], reference: _Schema) -> _Schema:
    return definitions[_name(reference)]


def _name_source(definition: _Schema, source: str) -> None:
    kind = {"description": "The kind of module.", "const": source}
    definition["properties"] = {"source": kind, **definition.get("properties", {})}


def _open(definition: _Schema, definitions: _Schema) -> None:
    """Let a reference stand for every value below a model's definition."""
    properties = definition.get("properties", {})
    for key, value in properties.items():
        if key not in _AS_THEY_ARE:
            properties[key] = _opened(value)
        below = next(iter(value.get("anyOf", ())), value)
        if "$ref" in below and "description" not in value:  # left out where it is the model's own
            words = _definition(definitions, below).get("description")
            properties[key] = {"description": words, **properties[key]}


def _opened(value: _Schema) -> _Schema:
    inner = {key: below for key, below in value.items() if key not in _WORDS}
    words = {key: below for key, below in value.items() if key in _WORDS}
    for key in ("items", "additionalProperties"):
        if isinstance(inner.get(key), dict):
            inner[key] = _opened(inner[key])
    if all(_is_section(one) or one == _NOTHING for one in inner.get("anyOf", [{}])):
        return {**words, **inner}
    if "anyOf" in inner:
        inner["anyOf"] = [_opened(one) for one in inner["anyOf"]]
        return {**words, **inner}
    if _takes_any_text(inner) or _is_section(inner):
        return {**words, **inner}
    return {**words, "anyOf": [inner, _REFERENCE_TEXT]}


def _is_section(inner: _Schema) -> bool:
    """A mapping: no output is one, and an editor says more about it without an alternative."""
    return "$ref" in inner or "oneOf" in inner or inner.get("type") == "object"


def _takes_any_text(inner: _Schema) -> bool:
    kinds = inner.get("type")
    is_text = kinds == "string" or (isinstance(kinds, list) and "string" in kinds)
    return not inner or (is_text and not {"pattern", "enum", "const"} & inner.keys())
