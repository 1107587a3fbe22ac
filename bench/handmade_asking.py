"""How the scripts that make a cluster by hand ask their servers, and what they tell them."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psycopg

T = TypeVar("T")
Connect = Callable[[str], psycopg.Connection[Any]]
"""Gives a connection of the role of that name to the role's own database."""

DEADLINE = 60.0
EVERY = 0.02
CHANGE_SECONDS = 60.0
"""For what changes etcd: passwords are hashed, which takes its time."""


def elapsed() -> float:
    """Seconds since this process began, its interpreter's start included; to 10 ms.

    Field 22 of /proc/self/stat (proc(5)): in clock ticks since the machine booted.
    """
    began = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    since_boot = time.clock_gettime(time.CLOCK_BOOTTIME)
    return round(since_boot - began / os.sysconf("SC_CLK_TCK"), 2)


def until(
    what: str, attempt: Callable[[], T | None], every: float = EVERY, within: float = DEADLINE
) -> T:
    """The first result of `attempt` that is not None, asked for `every` so many seconds.

    Raises TimeoutError if there is none `within` so many.
    """
    end, last = time.monotonic() + within, None
    while time.monotonic() < end:
        try:
            result = attempt()
        except (OSError, http.client.HTTPException, psycopg.Error) as error:
            result, last = None, error
        if result is not None:
            return result
        time.sleep(every)
    raise TimeoutError(f"{what}: {last}")


@dataclass(frozen=True)
class Etcd:
    """A member, reached with a client's certificate; it tells its health within `timeout` s."""

    address: str
    client: ssl.SSLContext
    timeout: float

    def healthy(self) -> bool | None:
        """Whether it knows a leader; None for no."""
        with self._connected(self.timeout) as connection:
            connection.request("GET", "/health")
            answer = json.loads(connection.getresponse().read())
            return True if answer.get("health") == "true" else None

    def enable_authentication(self, passwords: Mapping[str, str], prefix: str) -> bool:
        """Two users, one of them confined to Patroni's keys; then authentication is turned on.

        May be repeated. Raises HTTPException with what was refused.
        """
        calls = [*_user("root", passwords), *_user("patroni", passwords)]
        calls += [("role/grant", {"name": "patroni", "perm": _permission(prefix)}), ("enable", {})]
        with self._connected(CHANGE_SECONDS) as connection:
            for call, body in calls:
                connection.request("POST", f"/v3/auth/{call}", json.dumps(body))
                response = connection.getresponse()
                text = response.read()
                if response.status != http.HTTPStatus.OK and b"already" not in text:
                    raise http.client.HTTPException(f"{call}: {response.status} {text!r}")
        return True

    @contextlib.contextmanager
    def _connected(self, timeout: float) -> Iterator[http.client.HTTPSConnection]:
        connection = http.client.HTTPSConnection(
            self.address, 2379, context=self.client, timeout=timeout
        )
        with contextlib.closing(connection):
            yield connection


def _user(name: str, passwords: Mapping[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """What makes a user with a role of the same name."""
    return [
        ("user/add", {"name": name, "password": passwords[f"etcd-{name}"]}),
        ("role/add", {"name": name}),
        ("user/grant", {"user": name, "role": name}),
    ]


def _permission(prefix: str) -> dict[str, str]:
    def encoded(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    return {"permType": "READWRITE", "key": encoded(prefix), "range_end": encoded(end)}


def make_application(connect: Connect, password: str) -> bool:
    """The application's role and its database; no standby could confirm these commits yet."""
    with connect("postgres") as connection:
        connection.execute("SET synchronous_commit TO local")
        if not connection.execute("SELECT FROM pg_roles WHERE rolname = 'app'").rowcount:
            literal = psycopg.sql.Literal(password)
            connection.execute(psycopg.sql.SQL("CREATE ROLE app LOGIN PASSWORD {}").format(literal))
        if not connection.execute("SELECT FROM pg_database WHERE datname = 'app'").rowcount:
            connection.execute("CREATE DATABASE app OWNER app")
    return True


def write(connect: Connect) -> bool:
    """The application's first write; returns once it is acknowledged."""
    with connect("app") as connection:
        connection.execute("CREATE TABLE first_write AS SELECT now() AS at")
    return True
