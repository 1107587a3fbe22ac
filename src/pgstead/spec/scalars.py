"""What a plain (unquoted) YAML scalar stands for: the core schema of YAML 1.2, and stricter.

Only `true` and `false` are booleans: `on`, `off`, `yes` and `no` stay text, since that is
what PostgreSQL's parameters want. A number with leading zeros, an infinity and a date stay
text as well: none of them is what it looks like.
Source: https://yaml.org/spec/1.2.2/#103-core-schema
"""

from __future__ import annotations

import math
import re

Scalar = str | int | float | bool | None

SCALARS = (str, int, float, bool)
"""The types of scalars, for `isinstance`; None aside."""

_WORDS: dict[str, Scalar] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,30})")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]{1,16}")
_OCTAL = re.compile(r"0o[0-7]{1,22}")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*)?(\.[0-9]+|\.)?([eE][-+]?[0-9]+)?")
_NUMERIC_START = frozenset("0123456789+-.")


def resolve(text: str) -> Scalar:
    """The value of a plain scalar."""
    if text in _WORDS:
        return _WORDS[text]
    return _number(text) if text[0] in _NUMERIC_START else text


def _number(text: str) -> Scalar:
    if _INTEGER.fullmatch(text):
        return int(text)
    if _HEXADECIMAL.fullmatch(text) or _OCTAL.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text) and any(character.isdigit() for character in text):
        return _finite(text)
    return text


def _finite(text: str) -> Scalar:
    try:
        value = float(text)
    except ValueError:  # an exponent without a mantissa, e.g. ".e5"
        return text
    return value if math.isfinite(value) else text
