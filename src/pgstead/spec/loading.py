"""From a stack file's text to a `Stack`, in a straight line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import BaseModel, SecretStr

from pgstead.errors import SpecError
from pgstead.spec import expansion, rules
from pgstead.spec.cluster import Cluster
from pgstead.spec.collecting import Collected
from pgstead.spec.interpolation import (
    NotHere,
    Reference,
    gather,
    interpolate,
    references,
)
from pgstead.spec.nearest import suggestion
from pgstead.spec.parsing import parse
from pgstead.spec.reader import read
from pgstead.spec.scalars import SCALARS
from pgstead.spec.settings import FORMAT, Password, StackSettings
from pgstead.spec.source import SourceMap, Tree, TreePath
from pgstead.spec.stack import ModuleSource, Stack

DEFAULT_NAME = "pgstead.yaml"
MAX_BYTES = 64 << 20

_KEY = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")
_CONTENT = ("cluster", "modules")
_NAMED = ("modules", "passwords", "certificate_authorities")


def load(path: Path, *, environ: Mapping[str, str] | None = None) -> Stack:
    """The stack that a file (YAML or JSON) describes.

    `environ` is what `${env:NAME}` is looked up in, the process's own by default. Raises
    `SpecError`, whose message begins with the file, and the line if it can be read.
    """
    return loads(_text(path), name=str(path), folder=path.absolute().parent, environ=environ)


def loads(
    text: str,
    *,
    name: str = DEFAULT_NAME,
    folder: Path,
    environ: Mapping[str, str] | None = None,
) -> Stack:
    """As `load`, from a text; relative paths in it start from `folder`."""
    source = SourceMap(name, folder)
    tree, marks = read(text.removeprefix("\ufeff"), source)
    return _stack(tree, replace(source, root=marks), environ)


def from_tree(
    tree: Mapping[str, Tree],
    *,
    name: str = "<program>",
    folder: Path,
    environ: Mapping[str, str] | None = None,
) -> Stack:
    """As `load`, from values that a program made: plain ones, and the models of this package."""
    source = SourceMap(name, folder)
    return _stack(
        {key: _plain(value, source, (key,)) for key, value in tree.items()}, source, environ
    )


def _plain(value: Any, source: SourceMap, path: TreePath) -> Tree:
    """A program's value as it would stand in a file."""
    if isinstance(value, BaseModel):
        value = _written_fields(value)
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise source.error(path, "every key must be text")
        return {key: _plain(below, source, (*path, key)) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(below, source, (*path, at)) for at, below in enumerate(value)]
    if value is None or isinstance(value, SCALARS):
        return value
    if isinstance(value, Path):
        return str(value)
    raise source.error(path, f"a {type(value).__name__} cannot stand in a stack file")


def _written_fields(model: BaseModel) -> dict[str, Any]:
    """The fields that a program gave, and the one that tells one model from another."""
    written = {*model.model_fields_set, "kind"}
    return {key: getattr(model, key) for key in type(model).model_fields if key in written}


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        hint = f"Name the stack file; without a name it is {DEFAULT_NAME} in the current folder."
        raise SpecError(f"{path}: there is no such file", hint=hint) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SpecError(f"{path}: cannot read the file: {reason}") from None
    if len(content) > MAX_BYTES:
        raise SpecError(f"{path}: the file is larger than {MAX_BYTES >> 20} MiB")
    return _decoded(content, path)


def _decoded(content: bytes, path: Path) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        hint = "Save the file as UTF-8."
        raise SpecError(f"{path}:{line}: the file is not UTF-8 text", hint=hint) from None


def _stack(tree: dict[str, Tree], source: SourceMap, environ: Mapping[str, str] | None) -> Stack:
    _check_format(tree, source)
    source, settings, cluster = _checked(tree, source, os.environ if environ is None else environ)
    content = _content(tree, cluster, settings, source)
    stack = Stack(
        **{key: getattr(settings, key) for key in _PLAIN},
        certificate_authorities=MappingProxyType(content.authorities),
        passwords=MappingProxyType(content.passwords),
        modules=MappingProxyType(content.modules),
        cluster=content.cluster,
        warnings=tuple(_warnings(content.cluster, source)),
        source=content.source,
        written=MappingProxyType(tree),
    )
    _check_references(stack)
    return stack


def _checked(
    tree: dict[str, Tree], source: SourceMap, environ: Mapping[str, str]
) -> tuple[SourceMap, StackSettings, Cluster | None]:
    """The parts of a file that do not depend on each other: all their problems at once."""
    found = Collected(source)
    found.attempt(lambda: _check_top(tree, source))
    found.attempt(lambda: _check_keys(tree, source))
    outside = found.attempt(lambda: gather(tree, source, environ))
    if outside is None:  # nothing that refers to it could be looked at
        found.tell()
    full = replace(source, outside=outside or {})
    # Beside an unknown key, a name that is missing may just be misspelt.
    misspelt = "name" not in tree and found.any
    settings = None if misspelt else found.attempt(lambda: _settings(tree, full))
    cluster = found.attempt(lambda: _cluster(tree, full))
    found.tell()
    assert settings is not None  # noqa: S101 - else there was something to tell
    return full, settings, cluster


_PLAIN = ("version", "name", "platform", "state", "production", "sentinel")


def _check_format(tree: dict[str, Tree], source: SourceMap) -> None:
    version = tree.get("version", FORMAT)
    if isinstance(version, int) and not isinstance(version, bool) and version != FORMAT:
        hint = "Upgrade pgstead." if version > FORMAT else f"Write version: {FORMAT}."
        message = f"the file has format {version}, and this pgstead knows format {FORMAT} only"
        raise source.error(("version",), message, hint=hint)


def _check_top(tree: dict[str, Tree], source: SourceMap) -> None:
    """One key of `cluster` and `modules`, and none that nobody knows."""
    known = (*StackSettings.model_fields, *_CONTENT)
    lines = [
        source.line((key,), "unknown key" + suggestion(key, known))
        for key in tree
        if key not in known
    ]
    given = [key for key in _CONTENT if key in tree]
    if len(given) == len(_CONTENT):
        lines.append(source.line(("modules",), "a stack has either cluster or modules, not both"))
    if not given and not lines:
        lines.append(source.line((), "a stack needs either cluster or modules"))
    if lines:
        raise SpecError("\n".join(lines))


def _check_keys(tree: dict[str, Tree], source: SourceMap) -> None:
    """Names that references and files on disk are made of."""
    lines = [
        source.line((top, key), "a name is 1 to 63 letters, digits and inner - or _")
        for top in _NAMED
        if isinstance(tree.get(top), Mapping)
        for key in tree[top]
        if not _KEY.fullmatch(str(key))
    ]
    if lines:
        raise SpecError("\n".join(lines))


def _settings(tree: dict[str, Tree], source: SourceMap) -> StackSettings:
    own = {key: value for key, value in tree.items() if key in StackSettings.model_fields}

    def refused(_: Reference) -> Any:
        raise NotHere

    return parse(StackSettings, interpolate(own, refused, source), source)


class _Content(NamedTuple):
    cluster: Cluster | None
    modules: dict[str, ModuleSource]
    passwords: dict[str, Password]
    authorities: dict[str, Any]
    source: SourceMap


def _cluster(tree: dict[str, Tree], source: SourceMap) -> Cluster | None:
    if "cluster" not in tree:
        return None
    return parse(Cluster, {} if tree["cluster"] is None else tree["cluster"], source, _AT)


def _content(
    tree: dict[str, Tree], cluster: Cluster | None, settings: StackSettings, source: SourceMap
) -> _Content:
    passwords, authorities = settings.passwords, settings.certificate_authorities
    if cluster is None:
        modules = _modules(tree["modules"], source)
        return _Content(None, modules, passwords, authorities, source)
    watched = expansion.is_watched(cluster, settings.sentinel)
    trees = expansion.modules_of(cluster, settings.name, settings.platform, watched=watched)
    modules = _modules(trees, source)
    return _Content(
        cluster,
        modules,
        expansion.with_passwords(passwords, Password(), watched=watched),
        expansion.with_authority(authorities, settings.name),
        replace(source, aliases=expansion.aliases_of(cluster)),
    )


_AT: TreePath = ("cluster",)


def _modules(tree: Tree, source: SourceMap) -> dict[str, ModuleSource]:
    if not isinstance(tree, Mapping):
        raise source.error(("modules",), "expected a mapping of modules by name")
    lines: list[str] = []
    modules: dict[str, ModuleSource] = {}
    for key, variables in tree.items():
        problem = _module_problem(variables)
        if problem:
            lines.append(source.line(("modules", key), problem))
            continue
        rest = {name: value for name, value in variables.items() if name != "source"}
        modules[key] = ModuleSource(key, variables["source"], MappingProxyType(rest))
    if lines:
        raise SpecError("\n".join(lines))
    return modules


def _module_problem(variables: Tree) -> str | None:
    if not isinstance(variables, Mapping):
        return "expected a mapping of the module's variables"
    if not isinstance(variables.get("source"), str):
        return "source is required: the kind of module, e.g. etcd-server"
    return None


def _check_references(stack: Stack) -> None:
    """Modules and passwords that references name exist; outputs are the modules' business."""
    lines: list[str] = []
    for module in stack.modules.values():
        for path, reference in references(module.variables, stack.source, module.path):
            known = getattr(stack, reference.kind)
            if reference.name not in known:
                what = f"there is no {reference.kind[:-1]} {reference.name}"
                words = f"{reference}: {what}{suggestion(reference.name, known)}"
                lines.append(stack.source.line(path, words))
    if lines:
        raise SpecError("\n".join(dict.fromkeys(lines)))


def _warnings(cluster: Cluster | None, source: SourceMap) -> Iterator[str]:
    if cluster is not None:
        for path, words in rules.risks(cluster):
            yield source.line((*_AT, *path), words)
