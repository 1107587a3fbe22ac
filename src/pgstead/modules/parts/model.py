"""The base of all variables, and types that several modules use."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field, SecretStr

from pgstead.spec import Model, Port, Problems, Secret, Version

__all__ = [
    "Address",
    "HostName",
    "Hours",
    "Line",
    "Many",
    "Model",
    "Port",
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


def _line(text: str) -> str:
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise ValueError("must be one line, without control characters")
    return text


Address = Annotated[str, AfterValidator(_address)]
"""An IPv4 address."""

HostName = Annotated[str, AfterValidator(_host_name)]
"""The name of a machine or of a cluster's member."""

Line = Annotated[str, AfterValidator(_line)]
"""Text that cannot end the line of a configuration file that it goes into."""

Hours = Annotated[int, Field(gt=0)]
"""A period in hours."""

Many = tuple[Item, ...]
"""A list in the stack file."""
