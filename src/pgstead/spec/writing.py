"""A stack as the text of a stack file."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from typing import Any

import yaml

from pgstead.spec import scalars
from pgstead.spec.source import Tree
from pgstead.spec.stack import Stack

_BASE: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_BLOCK = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?\n)+")
"""Lines that stay as they are in a literal block: printable, no spaces at either end."""

_SETTINGS = ("platform", "state", "production", "sentinel")
_FLAT_LENGTH = 60


class _Dumper(_BASE):  # type: ignore[misc, valid-type, unused-ignore]
    """Writes text so that it is read back as text, by pgstead and by YAML 1.1 readers."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the library's signature
        return True


def _text(dumper: Any, value: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=_style(value))


def _style(value: str) -> str | None:
    if _BLOCK.fullmatch(value):
        return "|"
    if "${" in value or "\n" in value or scalars.resolve(value) != value:
        return '"'
    return None


def _list(dumper: Any, value: Any) -> Any:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=_is_short(value))


def _mapping(dumper: Any, value: Any) -> Any:
    flow = not value or None
    return dumper.represent_mapping("tag:yaml.org,2002:map", value.items(), flow_style=flow)


def _is_short(value: Any) -> bool:
    return (
        all(item is None or isinstance(item, scalars.SCALARS) for item in value)
        and sum(len(str(item)) + 2 for item in value) <= _FLAT_LENGTH
    )


_Dumper.add_representer(str, _text)
_Dumper.add_representer(list, _list)
_Dumper.add_representer(tuple, _list)
_Dumper.add_representer(dict, _mapping)


def expand(stack: Stack) -> str:
    """The stack file that `stack` stands for: its modules, as YAML with a final line break.

    References stay references, so no file, variable or password is in it. Loading it from
    the same folder gives the same modules, passwords and authorities.
    """
    head: dict[str, Tree] = {"version": stack.version, "name": stack.name}
    head |= {key: stack.written[key] for key in _SETTINGS if key in stack.written}
    head.setdefault("platform", {"kind": stack.platform.kind})
    for key in ("certificate_authorities", "passwords"):
        if names := getattr(stack, key):
            head[key] = _as_written(stack.written.get(key), names)
    modules = "\n".join(textwrap.indent(_dump(one), "  ") for one in _module_trees(stack))
    return _dump(head) + ("modules:\n" + modules if modules else "modules: {}\n")


def _as_written(written: Tree, names: Mapping[str, Any]) -> dict[str, Tree]:
    own = written or {}
    return {name: own.get(name) or {} for name in names}


def _module_trees(stack: Stack) -> list[dict[str, Tree]]:
    return [
        {module.key: {"source": module.source, **module.variables}}
        for module in stack.modules.values()
    ]


def _dump(tree: Tree) -> str:
    text: str = yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1 << 20)
    return text
