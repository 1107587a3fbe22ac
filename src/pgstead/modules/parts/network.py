"""Networks, as pg_hba.conf takes them."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator

__all__ = ["Network"]


def _network(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError:
        raise ValueError("must be a network such as 192.168.1.0/24") from None


Network = Annotated[str, AfterValidator(_network)]
"""An IPv4 or IPv6 network, written `address/bits`."""
