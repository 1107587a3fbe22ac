"""Small readers of fluentd's and fluent-bit's configuration: they refuse what is malformed.

Neither program is run by the tests. These follow the documented grammars: sections between
`<name argument>` and `</name>` for fluentd; `[SECTION]` lines, indented `Key Value` lines
and `@INCLUDE path` for fluent-bit's classic mode.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

__all__ = ["Malformed", "Section", "fluentbit", "fluentd"]


class Malformed(Exception):
    """The text is not such a configuration."""


@dataclass
class Section:
    """A section: its name and argument, its parameters, and the sections within."""

    name: str
    argument: str = ""
    values: dict[str, str] = field(default_factory=dict)
    inner: list[Section] = field(default_factory=list)

    def only(self, name: str) -> Section:
        """The one section of that name within."""
        (found,) = [one for one in self.inner if one.name == name]
        return found


_OPEN = re.compile(r"<([a-z_]+)(?:\s+([^<>]+))?>")
_CLOSE = re.compile(r"</([a-z_]+)>")
_PARAMETER = re.compile(r"(@?[a-z_][a-z0-9_]*)(?:\s+(.*))?")


def fluentd(text: str) -> Section:
    """The whole file as a section without a name; texts in single quotes are unquoted."""
    opened = [Section("")]
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if not line or line.startswith("#"):
            continue
        if start := _OPEN.fullmatch(line):
            opened.append(Section(start[1], start[2] or ""))
        elif end := _CLOSE.fullmatch(line):
            closed = opened.pop()
            if not opened or closed.name != end[1]:
                raise Malformed(f"line {number}: {line} closes {closed.name or 'nothing'}")
            opened[-1].inner.append(closed)
        else:
            name, value = _fluentd_parameter(number, line)
            _add(opened[-1], number, name, value)
    if len(opened) != 1:
        raise Malformed(f"{opened[-1].name} is not closed")
    return opened[0]


def _fluentd_parameter(number: int, line: str) -> tuple[str, str]:
    found = _PARAMETER.fullmatch(line)
    if found is None:
        raise Malformed(f"line {number}: neither a section nor a parameter: {line}")
    value = found[2] or ""
    if value.startswith(("'", '"')):
        if not re.fullmatch(r"'(?:[^'\\]|\\.)*'", value):
            raise Malformed(f"line {number}: {value} is not one text in single quotes")
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    return found[1], value


_HEAD = re.compile(r"\[([A-Z_]+)\]")
_KEY = re.compile(r" +([A-Za-z][A-Za-z0-9_.]*) +(\S.*)")


def fluentbit(text: str) -> Section:
    """The file as a section without a name; its includes are values `@INCLUDE n`."""
    whole = Section("")
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if head := _HEAD.fullmatch(line):
            whole.inner.append(Section(head[1]))
        elif line.startswith("@INCLUDE "):
            whole.values[f"@INCLUDE {len(whole.values)}"] = line.partition(" ")[2]
        elif (pair := _KEY.fullmatch(line)) and whole.inner:
            _add(whole.inner[-1], number, pair[1], pair[2])
        else:
            raise Malformed(f"line {number}: neither a section nor a key: {line}")
    return whole


def _add(section: Section, number: int, name: str, value: str) -> None:
    if name in section.values:
        raise Malformed(f"line {number}: {name} is given twice")
    section.values[name] = value
