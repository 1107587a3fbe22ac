"""`${...}` in the strings of a stack file: files, the environment, outputs and passwords.

`${file:PATH}` and `${env:NAME}` are read once, when the file is loaded (`gather`), and put
in place later, together with `${modules.KEY.OUTPUT}` and `${passwords.NAME}`
(`interpolate`). Until then texts stay as they were written, so that an expanded stack file
shows references and not what they stand for. `$${` is a literal `${`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr

from pgstead.errors import SpecError
from pgstead.spec.nearest import suggestion
from pgstead.spec.source import SourceMap, Tree, TreePath

MAX_FILE_BYTES = 1 << 20

_PIECE = re.compile(r"\$\$\{|\$\{(?P<body>[^{}]*)\}|\$\{")
_REFERENCE = re.compile(
    r"modules\.(?P<module>[\w-]+)\.(?P<output>[\w-]+)|passwords\.(?P<password>[\w-]+)"
)
_FORMS = "${file:PATH}, ${env:NAME}, ${modules.KEY.OUTPUT} and ${passwords.NAME}"


@dataclass(frozen=True, slots=True)
class Reference:
    """`${modules.NAME.OUTPUT}` or `${passwords.NAME}`, which has no output."""

    kind: Literal["modules", "passwords"]
    name: str
    output: str | None = None

    def __str__(self) -> str:
        return "${" + ".".join(filter(None, (self.kind, self.name, self.output))) + "}"


class UnknownName(LookupError):
    """Raised by a lookup: there is no `what` called `name`, but there are `known` ones."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        super().__init__(f"there is no {what} {name}{suggestion(name, known)}")


class NotHere(UnknownName):
    """Raised by a lookup where neither outputs nor passwords can be used."""

    def __init__(self) -> None:
        LookupError.__init__(self, "only ${file:PATH} and ${env:NAME} can be used here")


Lookup = Callable[[Reference], Any]
"""What a reference stands for: a value, a `SecretStr` where it is secret. Raises `UnknownName`."""


def has_reference(text: str) -> bool:
    """Whether a text holds something to be put in place, an escape included."""
    return "${" in text


def strings(tree: Tree, path: TreePath = ()) -> Iterator[tuple[TreePath, str]]:
    """Every string below `path` that holds a reference or an escape, in the file's order."""
    if isinstance(tree, str):
        if "${" in tree:
            yield path, tree
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from strings(value, (*path, key))
    elif isinstance(tree, list | tuple):
        for at, value in enumerate(tree):
            yield from strings(value, (*path, at))


def references(
    tree: Tree, source: SourceMap, path: TreePath = ()
) -> Iterator[tuple[TreePath, Reference]]:
    """Every reference to a module or a password below `path`, in the file's order."""
    for place, text in strings(tree, path):
        for found in _PIECE.finditer(text):
            body = _body(found, source, place)
            if body is not None and not _is_outside(body):
                yield place, _reference(body, source, place)


def gather(tree: Tree, source: SourceMap, environ: Mapping[str, str]) -> dict[str, str]:
    """What every `${file:...}` and `${env:...}` in the tree stands for, by its inner text.

    A file loses the line breaks at its end, as in a shell's `$(cat file)`. All that is
    missing is told in one `SpecError`.
    """
    texts: dict[str, str] = {}
    problems: list[str] = []
    for path, text in strings(tree):
        for found in _PIECE.finditer(text):
            try:
                body = _body(found, source, path)
                if body is not None and _is_outside(body) and body not in texts:
                    texts[body] = _read(body, source, environ)
            except _Missing as missing:
                problems.append(source.line(path, str(missing)))
    if problems:
        raise SpecError("\n".join(problems))
    return texts


def interpolate(tree: Tree, lookup: Lookup, source: SourceMap, path: TreePath = ()) -> Tree:
    """A copy of `tree` with every reference replaced by what it stands for.

    `lookup` answers for modules and passwords and raises `UnknownName`. A string that is
    one reference takes its value as it is; inside a longer one it becomes text. Where a
    secret (`SecretStr`) flows into a text, the whole text becomes a secret. What is put in
    place is not looked at again. Raises `SpecError` with file and line.
    """
    if isinstance(tree, str):
        return _text(tree, lookup, source, path) if "${" in tree else tree
    if isinstance(tree, Mapping):
        return {
            key: interpolate(value, lookup, source, (*path, key)) for key, value in tree.items()
        }
    if isinstance(tree, list | tuple):
        return [interpolate(value, lookup, source, (*path, at)) for at, value in enumerate(tree)]
    return tree


def _text(text: str, lookup: Lookup, source: SourceMap, path: TreePath) -> Any:
    whole = _PIECE.fullmatch(text)
    if whole and whole["body"] is not None:
        return _value(whole, lookup, source, path)
    secret = False
    pieces: list[str] = []
    end = 0
    for found in _PIECE.finditer(text):
        value = _value(found, lookup, source, path)
        secret = secret or isinstance(value, SecretStr)
        pieces += text[end : found.start()], _as_text(value, found, source, path)
        end = found.end()
    joined = "".join((*pieces, text[end:]))
    return SecretStr(joined) if secret else joined


def _as_text(value: Any, found: re.Match[str], source: SourceMap, path: TreePath) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    what = "nothing" if value is None else "a list or a mapping"
    raise source.error(path, f"{found[0]} is {what}, which cannot stand inside a longer text")


def _value(found: re.Match[str], lookup: Lookup, source: SourceMap, path: TreePath) -> Any:
    body = _body(found, source, path)
    if body is None:
        return "${"
    if _is_outside(body):
        return _outside(body, source, path)
    try:
        return lookup(_reference(body, source, path))
    except UnknownName as unknown:
        raise source.error(path, f"{found[0]}: {unknown}") from None


def _outside(body: str, source: SourceMap, path: TreePath) -> str:
    try:
        return source.outside[body]
    except KeyError:
        raise source.error(path, f"${{{body}}} was not read when the file was loaded") from None


def _body(found: re.Match[str], source: SourceMap, path: TreePath) -> str | None:
    """What stands between the braces; None for an escaped `$${`."""
    if found[0] == "$${":
        return None
    body = found["body"]
    if body is None:
        raise source.error(path, "`${` has no closing brace", hint="Write $${ for a literal ${.")
    return body.strip()


def _is_outside(body: str) -> bool:
    return body.startswith(("file:", "env:"))


def _reference(body: str, source: SourceMap, path: TreePath) -> Reference:
    found = _REFERENCE.fullmatch(body)
    if found is None:
        hint = f"Known are {_FORMS}. Write $${{ for a literal ${{."
        raise source.error(path, f"${{{body}}} is not a reference that pgstead knows", hint=hint)
    if found["password"]:
        return Reference("passwords", found["password"])
    return Reference("modules", found["module"], found["output"])


class _Missing(Exception):
    """A file or a variable that is not there."""


def _read(body: str, source: SourceMap, environ: Mapping[str, str]) -> str:
    kind, _, name = body.partition(":")
    if not name:
        raise _Missing(f"${{{body}}} names no {'file' if kind == 'file' else 'variable'}")
    if kind == "file":
        return _read_file(source.folder, name)
    if name not in environ:
        raise _Missing(f"the environment variable {name} is not set")
    return environ[name]


def _read_file(folder: Path, name: str) -> str:
    path = folder / name
    try:
        path = folder / Path(name).expanduser()
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except (OSError, RuntimeError, ValueError) as error:  # an unknown ~user; a NUL in the path
        raise _Missing(f"cannot read {path}: {getattr(error, 'strerror', error)}") from None
    if len(content) > MAX_FILE_BYTES:
        raise _Missing(f"{path} is larger than {MAX_FILE_BYTES // 1024} KiB")
    try:
        return content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise _Missing(f"{path} is not UTF-8 text") from None
