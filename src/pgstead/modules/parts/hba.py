"""Lines of pg_hba.conf: TLS and scram only."""

from __future__ import annotations

from collections.abc import Sequence

from pgstead.modules.base import Facts

__all__ = ["hba_lines"]

ANYWHERE = ("0.0.0.0/0", "::/0")
LOOPBACK = ("127.0.0.0/8",)


def hba_lines(
    facts: Facts,
    networks: Sequence[str] | None,
    *,
    superuser: str = "postgres",
    replication: str | None = None,
) -> list[str]:
    """Lines that let roles in from those networks, with TLS and a password, and no one else.

    `networks` None means any address, or the loopback network where machines share one.
    """
    if networks is None:
        networks = LOOPBACK if facts.shares_kernel else ANYWHERE
    # The system's user postgres proves itself to its role of the same name.
    peer = superuser == "postgres" and not facts.shares_kernel
    lines = ["local all postgres peer"] if peer else []
    lines += ["local all all scram-sha-256"]
    if replication is not None:
        lines += [
            f"hostssl replication {_word(replication)} {net} scram-sha-256" for net in networks
        ]
    lines += [f"hostssl all all {net} scram-sha-256" for net in networks]
    return [*lines, "host replication all all reject", "host all all all reject"]


def _word(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if not name.isalnum() or not name.islower() else name
