"""What pgstead writes into a domain's own metadata: whose it is, and what it was made from."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element

import libvirt

URI = "urn:pgstead:machine:1"
KEY = "pgstead"
BOOT_URI = "urn:pgstead:boot:1"
BOOT_KEY = "pgsteadboot"


def of_domain(domain: Any) -> dict[str, Any]:
    """What was written into a domain; empty for one that is not pgstead's."""
    try:
        text = domain.metadata(
            libvirt.VIR_DOMAIN_METADATA_ELEMENT, URI, libvirt.VIR_DOMAIN_AFFECT_CONFIG
        )
    except libvirt.libvirtError:
        return {}
    return parse(text)


def of_tree(tree: Element) -> dict[str, Any]:
    """The same from a domain's XML."""
    found = tree.find(f"metadata/{{{URI}}}machine")
    return {} if found is None else _values(found.text)


def parse(text: str) -> dict[str, Any]:
    """The values of a metadata element."""
    from xml.etree import ElementTree as ET  # noqa: PLC0415 - its text is libvirt's own

    return _values(ET.fromstring(text).text)  # noqa: S314 - as above


def set_on(domain: Any, values: Mapping[str, Any]) -> None:
    """Write the values into a domain, for good and for the one that runs."""
    flags = libvirt.VIR_DOMAIN_AFFECT_CONFIG
    if domain.isActive():
        flags |= libvirt.VIR_DOMAIN_AFFECT_LIVE
    domain.setMetadata(
        libvirt.VIR_DOMAIN_METADATA_ELEMENT,
        f"<machine>{escaped(values)}</machine>",
        KEY,
        URI,
        flags,
    )


def mark_of_boot(domain: Any) -> str:
    """A mark on a domain that runs, which ends with it; made by whoever asks first.

    It stands in the description of the running domain alone, which outlives libvirt's daemon
    and neither an end of the domain nor of its host. Raises `libvirt.libvirtError`, also for a
    domain that does not run.
    """
    if not _boot(domain):
        domain.setMetadata(
            libvirt.VIR_DOMAIN_METADATA_ELEMENT,
            f"<boot>{secrets.token_hex(4)}</boot>",
            BOOT_KEY,
            BOOT_URI,
            libvirt.VIR_DOMAIN_AFFECT_LIVE,
        )
    return _boot(domain)


def _boot(domain: Any) -> str:
    from xml.etree import ElementTree as ET  # noqa: PLC0415 - its text is libvirt's own

    try:
        text = domain.metadata(
            libvirt.VIR_DOMAIN_METADATA_ELEMENT, BOOT_URI, libvirt.VIR_DOMAIN_AFFECT_LIVE
        )
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN_METADATA:
            return ""
        raise
    return ET.fromstring(text).text or ""  # noqa: S314 - as above


def escaped(values: Mapping[str, Any]) -> str:
    """The values as text in XML."""
    text = json.dumps(dict(values), sort_keys=True)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _values(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return dict(found) if isinstance(found, dict) else {}
