"""The base of all variables, and types that several modules use."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from pgstead.spec import Line, Model, Port, Problems, Secret, Version

__all__ = [
    "Address",
    "Blank",
    "HostName",
    "Hours",
    "Line",
    "Mac",
    "Many",
    "MaybeAddress",
    "MaybeLine",
    "Model",
    "Port",
    "PrefixLength",
    "Problems",
    "Secret",
    "Version",
    "problem",
    "reveal",
]

Item = TypeVar("Item")


def reveal(secret: SecretStr | None) -> str:
    """The text of a secret; empty where there is none."""
    return "" if secret is None else secret.get_secret_value()


def problem(words: str, *path: str) -> Problems:
    """What a model's own rule found wrong with the variable at `path`, from the model down."""
    return Problems([(path, words)])


def _address(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise ValueError("must be an IPv4 address such as 192.168.1.10") from None


def _host_name(text: str) -> str:
    if not re.fullmatch(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)", text):
        raise ValueError("must be a host name: letters, digits and inner hyphens, at most 63")
    return text


def _blank(value: object) -> object:
    """Nothing: in many a stack file, an empty text says that a variable is not given."""
    return None if value == "" else value


def _number(value: object) -> object:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _mac(text: str) -> str:
    octets = text.lower().split(":")
    if len(octets) != 6 or not all(re.fullmatch("[0-9a-f]{2}", octet) for octet in octets):  # noqa: PLR2004 - an octet is two digits, an address six
        raise ValueError("must be a MAC address such as 52:54:00:de:e3:64")
    if int(octets[0], 16) & 1:
        raise ValueError("is a multicast address, which no interface can have")
    return ":".join(octets)


Address = Annotated[str, AfterValidator(_address)]
"""An IPv4 address."""

Blank = BeforeValidator(_blank)
"""Turns an empty text into None."""

MaybeAddress = Annotated[Address | None, Blank]
"""An IPv4 address; an empty text is none."""

Mac = Annotated[Annotated[str, AfterValidator(_mac)] | None, Blank]
"""A MAC address in lower case; an empty text is none."""

PrefixLength = Annotated[Annotated[int, Field(ge=1, le=32)] | None, BeforeValidator(_number), Blank]
"""Bits of an IPv4 network's part of an address; also as a text, and an empty one is none."""

HostName = Annotated[str, AfterValidator(_host_name)]
"""The name of a machine or of a cluster's member."""

MaybeLine = Annotated[Line | None, Blank]
"""Text of one line; an empty one is none."""

Hours = Annotated[int, Field(gt=0)]
"""A period in hours."""

Many = tuple[Item, ...]
"""A list in the stack file."""
