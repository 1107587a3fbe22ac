"""Calls to supervisord over its unix socket (supervisord.org, XML-RPC API)."""

from __future__ import annotations

import http.client
import socket
import xmlrpc.client
from pathlib import Path
from typing import Any

from pgstead.errors import PlatformError

ALREADY_STARTED = 60
NOT_RUNNING = 70
BAD_NAME = 10
ALREADY_ADDED = 90
SHUTTING_DOWN = 6
"""Faults that supervisord answers with (supervisor.xmlrpc.Faults)."""


class NotListeningError(PlatformError):
    """No supervisord answers at its socket."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def call(path: Path, method: str, *arguments: str | bool, timeout: float = 30.0) -> Any:
    """The answer of a method, e.g. `supervisor.getState`.

    Raises `NotListeningError` if nobody answers, and `xmlrpc.client.Fault` as the answer says.
    """
    body = xmlrpc.client.dumps(arguments, method).encode()
    connection = _Connection(path, timeout)
    try:
        connection.request("POST", "/RPC2", body, {"Content-Type": "text/xml"})
        response = connection.getresponse()
        answer = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise NotListeningError(f"no supervisor answers at {path}: {error}") from error
    finally:
        connection.close()
        if connection.sock:
            connection.sock.close()
    if response.status != http.client.OK:
        raise PlatformError(f"the supervisor answered {method} with {response.status}")
    ((value,), _) = xmlrpc.client.loads(answer)
    return value
