"""The one jinja2 environment: strict, and with filters that quote for each format.

Templates lie beside the code that uses them. An undefined name is an error, and whatever
goes into a file passes through a quoting filter, so that no value can end its line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from pgstead.errors import SpecError

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["conf_string", "haproxy_word", "render", "yaml_block", "yaml_scalar"]

_UNPRINTABLE = re.compile(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_SIMPLE_KEY = re.compile(r"[A-Za-z_][\w.-]*")
_YAML_WORDS = frozenset({"on", "off", "yes", "no", "y", "n", "true", "false", "null"})
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def render(package: str, template: str, /, **values: object) -> str:
    """The text of `template`, which lies in the Python package `package`.

    Raises jinja2's `UndefinedError` for a name that was not given: a mistake in the
    program, never in a stack file.
    """
    return _environment().get_template(f"{package}:{template}").render(values)


def yaml_scalar(value: object) -> str:
    """`value` as one YAML scalar on one line; texts are always quoted."""
    if isinstance(value, str):
        quoted = json.dumps(value, ensure_ascii=False)
        return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value)
    raise TypeError(f"no YAML scalar: {type(value).__name__}")


def yaml_block(value: Any, indent: int = 0) -> str:
    """A mapping or a list as YAML in block style, each line indented by `indent` blanks."""
    return "\n".join(" " * indent + line for line in _lines(value))


def haproxy_word(value: object) -> str:
    """`value` as one word of an HAProxy configuration line.

    Single quotes keep everything but a single quote itself (HAProxy's manual, 2.2).
    """
    text = _one_line(value, "HAProxy's configuration")
    if re.fullmatch(r"[\w@%+=:,./-]+", text):
        return text
    return "'" + text.replace("'", r"'\''") + "'"


def conf_string(value: object) -> str:
    """`value` as a quoted string of postgresql.conf."""
    text = _one_line(value, "PostgreSQL's configuration")
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _one_line(value: object, where: str) -> str:
    text = str(value)
    if _CONTROL.search(text):
        raise SpecError(
            f"a value for {where} holds a line break or another control character",
            hint="Write it on one line.",
        )
    return text


def _lines(value: Any) -> list[str]:
    if isinstance(value, Mapping) and value:
        return [line for key, item in value.items() for line in _entry(f"{_key(key)}:", item)]
    if isinstance(value, list | tuple) and value:
        return [line for item in value for line in _item(item)]
    return [_flat(value)]


def _entry(head: str, value: Any) -> list[str]:
    if isinstance(value, Mapping | list | tuple) and value:
        return [head, *(f"  {line}" for line in _lines(value))]
    return [f"{head} {_flat(value)}"]


def _item(value: Any) -> list[str]:
    first, *rest = _lines(value)
    return [f"- {first}", *(f"  {line}" for line in rest)]


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, list | tuple):
        return "[]"
    return yaml_scalar(value)


def _key(key: str) -> str:
    plain = _SIMPLE_KEY.fullmatch(key) and key.lower() not in _YAML_WORDS
    return key if plain else yaml_scalar(key)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined  # noqa: PLC0415 - start-up time

    environment = Environment(
        loader=FunctionLoader(_load),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - configuration files, not HTML; see the filters
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "yaml": yaml_scalar,
        "yaml_block": yaml_block,
        "haproxy": haproxy_word,
        "conf": conf_string,
    }
    return environment


def _load(name: str) -> tuple[str, str | None, Callable[[], bool]]:
    package, _, template = name.partition(":")
    text = resources.files(package).joinpath(template).read_text(encoding="utf-8")
    return text, None, lambda: True
