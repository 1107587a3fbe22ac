"""What a machine says on its serial console, from its start on."""

from __future__ import annotations

import re
from collections import deque
from contextlib import suppress
from typing import Any

import libvirt

LINES = 400
CHUNK = 65536
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|[\x00-\x08\x0b-\x1f\x7f]")


class Console:
    """Reads a domain's console whenever it is asked what was said.

    Without a thread: one that blocks in a stream of libvirt's can block all other calls of
    the same connection for good. What arrives is read off the connection by any call, and
    `lines` makes one. libvirt lends a console to one reader at a time; where somebody else
    has it, nothing is read and `tail` says so.
    """

    def __init__(self, connection: Any, domain: Any) -> None:
        self._lines: deque[str] = deque(maxlen=LINES)
        self._open = ""
        self._domain = domain
        self._stream: Any = connection.newStream(libvirt.VIR_STREAM_NONBLOCK)
        try:
            domain.openConsole(None, self._stream, 0)
        except libvirt.libvirtError as error:
            self._stream = None
            self._lines.append(f"(the console cannot be read: {error})")

    def lines(self) -> list[str]:
        """What was read so far, without what only moves a cursor."""
        self._read()
        return [*self._lines, *([_plain(self._open)] if self._open else [])]

    def tail(self, count: int = 15) -> str:
        """The last lines, for an error."""
        found = [line for line in self.lines() if line.strip()]
        return "\n".join(found[-count:]) or "(the console said nothing)"

    def says(self, text: str) -> str | None:
        """The line that holds `text`, if there is one."""
        return next((line for line in self.lines() if text in line), None)

    def close(self) -> None:
        """Give the console back."""
        stream, self._stream = self._stream, None
        with suppress(libvirt.libvirtError):
            if stream is not None:
                stream.abort()

    def _read(self) -> None:
        try:
            self._domain.isActive()  # brings in what has arrived
            while self._stream is not None:
                data = self._stream.recv(CHUNK)
                if not isinstance(data, bytes):  # a number: nothing there just now
                    return
                if not data:
                    self.close()
                    return
                self._take(data.decode(errors="replace"))
        except libvirt.libvirtError:
            self.close()

    def _take(self, text: str) -> None:
        *whole, self._open = (self._open + text.replace("\r", "")).split("\n")
        self._lines.extend(_plain(line) for line in whole)


def _plain(line: str) -> str:
    return _CONTROL.sub("", line).rstrip()


def failing_module_lines(lines: list[str]) -> list[str]:
    """Of a console, the lines in which cloud-init or the first boot's script tell of failure."""
    words = ("[ERROR]", "[WARNING]", "Traceback", "failed", "Failed", "error:", "pgstead:")
    told = ("cloud-init", "util.py", "cc_", "pgstead:", "Failed to run module")
    return [
        line for line in lines if any(w in line for w in words) and any(t in line for t in told)
    ]
