"""HAProxy's statistics, over HTTPS with a client certificate."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pgstead.clients.http import TIMEOUT, Https
from pgstead.membership import TlsClient

TOTALS = ("FRONTEND", "BACKEND")


@dataclass(frozen=True, slots=True)
class Server:
    """A server behind a proxy. `status` is UP, DOWN, MAINT, "DOWN 1/2", ...; sessions are current.

    `down_seconds` is how long it has been down in all, `changed_seconds` since when its
    status has been what it is.
    """

    proxy: str
    name: str
    status: str
    sessions: int
    total_sessions: int
    check: str
    changed_seconds: int | None = None
    down_seconds: int | None = None

    @property
    def up(self) -> bool:
        """Whether it gets new connections."""
        return self.status.startswith("UP")


@dataclass(frozen=True, slots=True)
class HaproxyClient:
    """The statistics of one load balancer."""

    host: str
    port: int
    tls: TlsClient
    timeout: float = TIMEOUT

    def servers(self, path: str = "/;csv") -> tuple[Server, ...]:
        """Every server of every proxy; frontends' and backends' totals are left out."""
        answer = Https(self.host, self.port, self.tls, self.timeout).ask("GET", path)
        if not answer.ok:
            raise answer.error()
        return tuple(parse(answer.text))


def parse(text: str) -> Iterator[Server]:
    """Servers from HAProxy's CSV, whose first line is `# pxname,svname,...`."""
    for row in csv.DictReader(text.removeprefix("# ").splitlines()):
        if row.get("svname") not in TOTALS and row.get("pxname"):
            yield _server(row)


def _server(row: Mapping[str, str | None]) -> Server:
    return Server(
        row.get("pxname") or "",
        row.get("svname") or "",
        row.get("status") or "",
        _number(row, "scur") or 0,
        _number(row, "stot") or 0,
        row.get("check_status") or "",
        _number(row, "lastchg"),
        _number(row, "downtime"),
    )


def _number(row: Mapping[str, str | None], key: str) -> int | None:
    value = row.get(key)
    return int(value) if value and value.lstrip("-").isdigit() else None
