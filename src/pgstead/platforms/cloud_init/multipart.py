"""Several texts as one: cloud-init's multi-part user data."""

from __future__ import annotations

from collections.abc import Mapping
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

BOUNDARY = "==pgstead-user-data=="
"""Always the same: the same machine gives the same text."""


def multipart(parts: Mapping[str, str]) -> str:
    """The cloud-configs by file name as one MIME message."""
    message = MIMEMultipart("mixed", boundary=BOUNDARY)
    for name, text in parts.items():
        part = MIMEText(text, "cloud-config", "us-ascii" if text.isascii() else "utf-8")
        part.add_header("Content-Disposition", "attachment", filename=name)
        message.attach(part)
    return message.as_string()
