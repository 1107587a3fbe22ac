"""What a stack file may say under `platform` of virtual machines, whichever kind they are."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, Field

from pgstead.spec.models import Model, Text

_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def _user(value: str) -> str:
    if not _USER.fullmatch(value):
        raise ValueError("must be the name of a user")
    return value


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("must be 1 to 64 letters, digits, dots, hyphens and underscores")
    return value


def _address(value: str) -> str:
    try:
        return str(ipaddress.IPv4Address(value))
    except ValueError:
        raise ValueError("must be an IPv4 address such as 192.168.1.10") from None


def span(value: str) -> tuple[ipaddress.IPv4Address, ipaddress.IPv4Address]:
    """The first and last address of a range `a-b`. Raises `ValueError` for what is none."""
    first, _, last = (part.strip() for part in value.partition("-"))
    try:
        found = ipaddress.IPv4Address(first), ipaddress.IPv4Address(last)
    except ValueError:
        raise ValueError("must be two addresses, e.g. 192.168.1.50-192.168.1.80") from None
    if found[0] > found[1]:
        raise ValueError(f"begins at {first}, after its end {last}")
    return found


def _range(value: str) -> str:
    span(value)
    return value


Name = Annotated[Text, AfterValidator(_name)]
Address = Annotated[Text, AfterValidator(_address)]
AddressRange = Annotated[Text, AfterValidator(_range)]
"""Two addresses, `a-b`: the first and the last one."""


class FirstUser(Model):
    """The first user of machines that do not name one."""

    user: Annotated[Text, AfterValidator(_user)] = Field(
        "ubuntu", description="The user's name; may become root without a password."
    )
    public_key: Text | None = Field(
        None, description="An SSH public key that may log in, besides pgstead's own."
    )
