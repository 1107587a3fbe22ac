"""HTTPS with a client certificate, as the servers' own interfaces want it.

The standard library's client, since importing a larger one costs more than all requests
of an `up` with nothing to do.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
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
        connection = http.client.HTTPSConnection(
            self.host,
            self.port,
            context=client_context(self.tls),
            timeout=timeout or self.timeout,
        )
        try:
            connection.request(method, path, data, sent)
            response = connection.getresponse()
            return Answer(asked, response.status, response.read().decode(errors="replace"))
        except (OSError, http.client.HTTPException) as error:
            why = expired_or_untrusted(error) or str(error) or type(error).__name__
            raise Unreachable(f"{asked}: no answer: {why}") from None
        finally:
            connection.close()
