"""How to connect to a PostgreSQL: a libpq URI, and the files it points to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote, urlencode


class Target(StrEnum):
    """Which endpoint of a cluster."""

    PRIMARY = "primary"
    REPLICA = "replica"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Hosts with their ports, and what libpq should look for among several of them.

    `options` are further parameters of libpq with their values.
    """

    hosts: Sequence[tuple[str, int]]
    session: str | None = None
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Connection:
    """Everything that a client needs. `ca` and `passfile` are files of the user's own."""

    endpoint: Endpoint
    role: str
    database: str
    ca: Path
    passfile: Path
    password: str = field(repr=False)

    def uri(self, *, with_password: bool = False) -> str:
        """A libpq URI (PostgreSQL manual, 34.1.1.2), without a password unless asked for."""
        secret = f":{quote(self.password, safe='')}" if with_password else ""
        hosts = ",".join(f"{host}:{port}" for host, port in self.endpoint.hosts)
        options = {"sslmode": "verify-full", "sslrootcert": str(self.ca)}
        if not with_password:
            options["passfile"] = str(self.passfile)
        if self.endpoint.session:
            options["target_session_attrs"] = self.endpoint.session
        options.update(self.endpoint.options)
        query = urlencode(options, safe="/")
        return f"postgresql://{quote(self.role, safe='')}{secret}@{hosts}/{self.database}?{query}"

    def passfile_lines(self) -> str:
        """The lines of the password file (PostgreSQL manual, 34.16)."""
        return "".join(
            f"{host}:{port}:*:{_escaped(self.role)}:{_escaped(self.password)}\n"
            for host, port in self.endpoint.hosts
        )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace(":", "\\:")
