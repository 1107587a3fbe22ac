"""A connection to PostgreSQL whose every wait can have an end and can be called off.

psycopg's own connections wait for an answer for as long as it takes; a drill has clients with
a timeout of their own, and others that hang on a frozen server until the drill is over.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pgstead.errors import ClientError

if TYPE_CHECKING:
    from psycopg.pq.abc import PGconn, PGresult

LOOK = 0.1
"""Seconds between two looks at whether the wait was called off."""

Rows = list[tuple[str | None, ...]]


class Failed(ClientError):
    """The server, or the way to it, gave an error."""


class CalledOff(ClientError):
    """Nobody waits any more: the drill is over."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait: `seconds` for each connection and each answer, None for ever."""

    seconds: float | None
    called_off: Callable[[], bool] = lambda: False


class Wire:
    """One connection, used by one thread. All methods raise `Failed` and `CalledOff`."""

    def __init__(self, connection: PGconn, patience: Patience) -> None:
        self._connection = connection
        self._patience = patience

    def rows(self, sql: str) -> Rows:
        """What one statement gives, as texts; it is committed by itself."""
        limit = _Limit(self._patience, "an answer")
        with _understood():
            self._connection.send_query(sql.encode())
            while self._connection.flush():
                limit.wait(self._connection.socket, select.POLLIN | select.POLLOUT)
                self._connection.consume_input()
            return _texts(self._result(limit))

    def _result(self, limit: _Limit) -> PGresult:
        last: PGresult | None = None
        while True:
            while self._connection.is_busy():
                limit.wait(self._connection.socket, select.POLLIN)
                self._connection.consume_input()
            result = self._connection.get_result()
            if result is None:
                break
            last = result
        if last is None:
            raise Failed("the connection gave no result")
        return last

    def close(self) -> None:
        """Let the server go, whatever state it is in; waits for nothing."""
        self._connection.finish()


def connect(uri: str, patience: Patience, answers: Patience | None = None) -> Wire:
    """A connection to one host; `answers` is the patience with what is asked there.

    By default it is the same. Raises `Failed` and `CalledOff`.
    """
    from psycopg import pq  # noqa: PLC0415 - heavy: a tenth of a second

    limit = _Limit(patience, "a connection")
    with _understood():
        connection = pq.PGconn.connect_start(uri.encode())
    try:
        with _understood():
            _establish(connection, limit)
    except ClientError:
        connection.finish()
        raise
    return Wire(connection, answers or patience)


def _establish(connection: PGconn, limit: _Limit) -> None:
    from psycopg.pq import ConnStatus, PollingStatus  # noqa: PLC0415 - loaded by now

    connection.nonblocking = 1
    if connection.status == ConnStatus.BAD:
        raise Failed(_line(connection.get_error_message()))
    wanted = {PollingStatus.READING: select.POLLIN, PollingStatus.WRITING: select.POLLOUT}
    state = PollingStatus.WRITING  # to begin with (libpq manual, PQconnectPoll)
    while state != PollingStatus.OK:
        limit.wait(connection.socket, wanted.get(state, select.POLLIN | select.POLLOUT))
        state = PollingStatus(connection.connect_poll())
        if state == PollingStatus.FAILED:
            raise Failed(_line(connection.get_error_message()))


class _Limit:
    """The end of one wait, made of any number of pauses."""

    def __init__(self, patience: Patience, what: str) -> None:
        self._patience = patience
        self._what = what
        self._end = None if patience.seconds is None else time.monotonic() + patience.seconds

    def wait(self, socket: int, events: int) -> None:
        """Return once the socket is ready for one of these."""
        poll = select.poll()
        poll.register(socket, events)
        while True:
            left = LOOK if self._end is None else self._end - time.monotonic()
            if left <= 0:
                raise Failed(f"{self._what} took longer than {self._patience.seconds:g} s")
            if poll.poll(min(left, LOOK) * 1000):
                return
            if self._patience.called_off():
                raise CalledOff("the drill is over")


@contextmanager
def _understood() -> Iterator[None]:
    """Turn psycopg's errors into ours."""
    import psycopg  # noqa: PLC0415 - loaded by now

    try:
        yield
    except psycopg.Error as error:
        raise Failed(_line(str(error))) from None


def _texts(result: PGresult) -> Rows:
    from psycopg.pq import ExecStatus  # noqa: PLC0415 - loaded by now

    if result.status not in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
        raise Failed(_line(result.get_error_message()))
    columns = range(result.nfields)
    return [
        tuple(_text(result.get_value(row, column)) for column in columns)
        for row in range(result.ntuples)
    ]


def _text(value: bytes | None) -> str | None:
    return None if value is None else bytes(value).decode()


def _line(message: str) -> str:
    """The first line of what libpq says."""
    return next((line.strip() for line in message.splitlines() if line.strip()), "no reason given")
