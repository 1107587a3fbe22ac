"""HTTPS with a client certificate, as the servers' own interfaces want it.

The standard library's client, since importing a larger one costs more than all requests
of an `up` with nothing to do.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pgstead.clients.tls import client_context, expired_or_untrusted
from pgstead.errors import ClientError
from pgstead.membership import TlsClient

TIMEOUT = 3.0
"""Seconds to connect, and to wait for each part of an answer."""

SHOWN = 300
"""Characters of a server's answer that an error shows at most."""


class Unreachable(ClientError):
    """A server that could not be asked: nothing listens, no answer in time, or no TLS."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; `asked` says to whom and what, for errors."""

    asked: str
    status: int
    text: str

    @property
    def ok(self) -> bool:
        """Whether the server did what it was asked."""
        return 200 <= self.status < 300  # noqa: PLR2004 - HTTP's own

    def json(self) -> Any:
        """The parsed body. Raises `ClientError` if it is no JSON."""
        try:
            return json.loads(self.text)
        except ValueError:
            raise self.error("an answer that is no JSON") from None

    def error(self, what: str = "") -> ClientError:
        """What to raise when this answer is not the one that was wanted."""
        said = self.text.strip()[:SHOWN] or "nothing"
        return ClientError(f"{self.asked}: {what or 'status'} {self.status}: {said}")


@dataclass(frozen=True, slots=True)
class Https:
    """One server's HTTPS interface."""

    host: str
    port: int
    tls: TlsClient
    timeout: float = TIMEOUT

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """Send one request; `body` becomes JSON. Any status is an answer.

        Raises `Unreachable` if there is none.
        """
        asked = f"{method} https://{self.host}:{self.port}{path}"
        data = None if body is None else json.dumps(body)
        sent = {"Content-Type": "application/json", **(headers or {})}
        connection = _connection(self, timeout or self.timeout)
        try:
            connection.request(method, path, data, sent)
            return _answer(connection, asked)
        except (OSError, http.client.HTTPException) as error:
            raise _unreachable(asked, error) from None
        finally:
            connection.close()


@dataclass(slots=True)
class KeptHttps:
    """The same over a connection that is kept, for one thread that asks again and again.

    It is made anew where the server has closed it meanwhile.
    """

    server: Https
    _connection: http.client.HTTPSConnection | None = None

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """As `Https.ask`."""
        server = self.server
        asked = f"{method} https://{server.host}:{server.port}{path}"
        data = None if body is None else json.dumps(body)
        sent = {"Content-Type": "application/json", **(headers or {})}
        try:
            if self._connection is not None:
                with suppress(*_CLOSED):
                    return self._send(asked, method, path, data, sent)
            return self._send(asked, method, path, data, sent)
        except (OSError, http.client.HTTPException) as error:
            raise _unreachable(asked, error) from None

    def _send(
        self, asked: str, method: str, path: str, data: str | None, sent: Mapping[str, str]
    ) -> Answer:
        self._connection = self._connection or _connection(self.server, self.server.timeout)
        try:
            self._connection.request(method, path, data, sent)
            return _answer(self._connection, asked)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next question opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


_CLOSED = (ConnectionError, ssl.SSLError, http.client.HTTPException)
"""What a connection fails with that the server closed while nobody asked."""


def _connection(server: Https, timeout: float) -> http.client.HTTPSConnection:
    context = client_context(server.tls)
    return http.client.HTTPSConnection(server.host, server.port, context=context, timeout=timeout)


def _answer(connection: http.client.HTTPSConnection, asked: str) -> Answer:
    """Read an answer, whose first part is acknowledged at once.

    Patroni sends its answers in two parts, the second once the first is acknowledged, which
    Linux puts off for 40 ms (tcp(7), TCP_QUICKACK; Patroni 4.1.5).
    """
    if sys.platform == "linux":
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    response = connection.getresponse()
    return Answer(asked, response.status, response.read().decode(errors="replace"))


def _unreachable(asked: str, error: BaseException) -> Unreachable:
    why = expired_or_untrusted(error) or str(error) or type(error).__name__
    return Unreachable(f"{asked}: no answer: {why}")
