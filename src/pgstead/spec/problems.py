"""Pydantic's validation errors in the words of a stack file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError

from pgstead.spec.models import Problems
from pgstead.spec.nearest import suggestion
from pgstead.spec.source import Tree, TreePath

_SENSITIVE = re.compile(r"pass|secret|key$|private|token|credential|url|cert", re.IGNORECASE)
_LONGEST_SHOWN = 60

_EXPECTED = {
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "bytes_type": "text",
    "dict_type": "a mapping",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "is_instance_of": "text",
    "list_type": "a list",
    "mapping_type": "a mapping",
    "model_attributes_type": "a mapping",
    "model_type": "a mapping",
    "none_required": "nothing",
    "path_type": "a path",
    "string_type": "text",
    "tuple_type": "a list",
}
_LIMITS = {
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "string_pattern_mismatch": "must match {pattern}",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "too_long": "must have at most {max_length} items",
    "too_short": "must have at least {min_length} items",
}


class _Problem(NamedTuple):
    path: TreePath
    expected: str | None
    words: str
    value: Any = None
    hidden: bool = False


def problems(
    error: ValidationError, model: type[BaseModel], tree: Tree
) -> list[tuple[TreePath, str]]:
    """For each problem, the path from the model down and what is wrong there, in order."""
    found = [
        problem
        for one in error.errors(include_url=False, include_context=True)
        for problem in _translated(one, model, tree)
    ]
    return list(_merged(found))


def _translated(one: Any, model: type[BaseModel], tree: Tree) -> Iterator[_Problem]:
    kind: str = one["type"]
    value, context = one["input"], one.get("ctx", {})
    path = _path(one["loc"], tree, keep_last=kind in ("missing", "extra_forbidden"))
    if kind == "missing":
        yield _Problem(path, None, "this key is required")
    elif kind == "extra_forbidden":
        known = {name for owner in _models_at(model, path[:-1]) for name in owner.model_fields}
        yield _Problem(path, None, "unknown key" + suggestion(str(path[-1]), known))
    elif isinstance(value, SecretStr) and kind != "value_error":
        yield _Problem(path, None, "a secret cannot be used here")
    elif isinstance(context.get("error"), Problems):
        for below, words in context["error"].found:
            yield _Problem(path + below, None, words)
    else:
        yield _of_value(one, path, hidden=_is_hidden(model, path))


def _of_value(one: Any, path: TreePath, *, hidden: bool) -> _Problem:
    kind, value, context = one["type"], one["input"], one.get("ctx", {})
    if kind in _EXPECTED:
        return _Problem(path, _EXPECTED[kind], "", value, hidden)
    if kind in ("literal_error", "enum"):
        return _Problem(path, _choices(context["expected"]), "", value, hidden)
    if kind.startswith("union_tag"):
        return _tag(path, value, context)
    if kind in _LIMITS:
        words = _LIMITS[kind].format(**context)
    else:
        words = str(context["error"]) if "error" in context else one["msg"]
    if isinstance(value, str | int | float):
        words += _given(value, hidden=hidden)
    return _Problem(path, None, words)


def _is_hidden(model: type[BaseModel], path: TreePath) -> bool:
    """Whether a value there may be a secret: by its field's type, or by its name."""
    if any(isinstance(key, str) and _SENSITIVE.search(key) for key in path):
        return True
    return any(_takes_secret(annotation) for annotation in _annotations_at(model, path))


def _takes_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(_takes_secret(one) for one in get_args(annotation))


def _choices(expected: str) -> str:
    """Pydantic's `'on', 'off' or True` with the values as they stand in a file."""
    words = re.sub(r"'([^']*)'", r"\1", expected)
    return words.replace("False", "false").replace("True", "true").replace("None", "nothing")


def _tag(path: TreePath, value: Any, context: Any) -> _Problem:
    key = str(context["discriminator"]).strip("'")
    expected = context.get("expected_tags")
    if expected is None:
        return _Problem((*path, key), None, "this key is required")
    given = value.get(key) if isinstance(value, Mapping) else None
    return _Problem((*path, key), _choices(expected).replace(", ", " or "), "", given)


def _merged(found: Iterable[_Problem]) -> Iterator[tuple[TreePath, str]]:
    """One line for each path: a union's members each tell what they would have taken."""
    every = list(found)
    expected: dict[TreePath, list[str]] = {}
    for problem in every:
        if problem.expected:
            expected.setdefault(problem.path, []).append(problem.expected)
    deeper = {problem.path[:length] for problem in every for length in range(len(problem.path))}
    for problem in every:
        if problem.expected is None:
            yield problem.path, problem.words
        elif problem.path not in deeper and problem.path in expected:
            wanted = " or ".join(dict.fromkeys(expected.pop(problem.path)))
            yield problem.path, f"expected {wanted}{_given(problem.value, hidden=problem.hidden)}"


def _given(value: Any, *, hidden: bool) -> str:
    """`, given ...`, but for what is long, or may be a secret."""
    if value is None:
        return ", given nothing"
    if isinstance(value, Mapping):
        return ", given a mapping"
    if isinstance(value, list | tuple):
        return ", given a list"
    return f", given {_kind(value)}" if hidden else _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return f", given {str(value).lower()}"
    if isinstance(value, int | float):
        return f", given {value}"
    if isinstance(value, str) and len(value) <= _LONGEST_SHOWN and value.isprintable():
        return f', given "{value}"'
    return f", given {_kind(value)}"


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number (write it in quotes for text)"
    return "text" if isinstance(value, str) else "a secret"


def _path(location: tuple[str | int, ...], tree: Tree, *, keep_last: bool) -> TreePath:
    """The location without what pydantic adds: names of union members and of validators."""
    path: list[str | int] = []
    for at, key in enumerate(location):
        last = at == len(location) - 1
        if _holds(tree, key):
            path.append(key)
            tree = tree[key]
        elif last and keep_last:
            path.append(key)
    return tuple(path)


def _holds(tree: Tree, key: str | int) -> bool:
    if isinstance(tree, Mapping):
        return key in tree
    return isinstance(tree, list | tuple) and isinstance(key, int) and 0 <= key < len(tree)


def _models_at(model: type[BaseModel], path: TreePath) -> list[type[BaseModel]]:
    """The models that may stand at `path` below `model`."""
    return [one for annotation in _annotations_at(model, path) for one in _models(annotation)]


def _annotations_at(model: type[BaseModel], path: TreePath) -> list[Any]:
    annotations: list[Any] = [model]
    for key in path:
        annotations = [below for one in annotations for below in _below(one, key)]
    return annotations


def _below(annotation: Any, key: str | int) -> Iterator[Any]:
    for model in _models(annotation):
        if key in model.model_fields:
            yield model.model_fields[str(key)].annotation
    for container in _containers(annotation):
        arguments = [one for one in get_args(container) if one is not ...]
        yield arguments[-1]  # a mapping's values, a sequence's items


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif not _is_container(annotation):
        for argument in get_args(annotation):
            yield from _models(argument)


def _containers(annotation: Any) -> Iterator[Any]:
    if _is_container(annotation):
        yield annotation
    else:
        for argument in get_args(annotation):
            yield from _containers(argument)


def _is_container(annotation: Any) -> bool:
    origin = get_origin(annotation)
    return isinstance(origin, type) and issubclass(origin, Mapping | list | tuple)
