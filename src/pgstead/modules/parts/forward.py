"""Where logs are forwarded to: a fluentd or fluent-bit elsewhere, over TLS."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from pgstead.modules.parts.model import Line, MaybeLine, Model, Secret, problem, reveal

__all__ = ["Forward", "require_forward"]


class Forward(Model):
    """The remote node, and how it is spoken to."""

    domain: MaybeLine = Field(
        default=None, pattern=r"^\S+$", description="Address or domain name of the remote node."
    )
    port: int = Field(
        default=24224, ge=0, le=65535, description="Port that the remote node listens on."
    )
    hostname: Line = Field(
        default="", description="What this machine calls itself; by default its name."
    )
    shared_key: Secret | None = Field(
        default=None, description="Secret that both nodes know, by which this one is let in."
    )
    ca_cert: str = Field(
        default="", description="Certificate of the authority of the remote node's, in PEM."
    )

    @model_validator(mode="after")
    def _one_line(self) -> Self:
        if not reveal(self.shared_key).isprintable():
            raise problem("must be one line of printable characters", "shared_key")
        return self


def require_forward(forward: Forward, *place: str) -> None:
    """Raise `ValueError` if logs could not be sent there; `place` is where this stands."""
    lacking = [
        name
        for name, value in (
            ("domain", forward.domain),
            ("port", forward.port),
            ("shared_key", reveal(forward.shared_key)),
            ("ca_cert", forward.ca_cert),
        )
        if not value
    ]
    if lacking:
        raise problem("is required where logs are forwarded", *place, lacking[0])
