"""What exists on the memory platform: values by address, in a file that only grows."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path

from pgstead.engine.resource import Value


class World:
    """Everything that "exists". With a file, it outlives the process.

    Each change is one appended JSON line, so that the cost of a change does not grow with
    the world's size. A half-written last line, left by a kill, is ignored.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._things: dict[str, dict[str, Value]] = {}
        if file and file.exists():
            self._replay(file.read_text(encoding="utf-8"))

    def get(self, address: str) -> dict[str, Value] | None:
        """What is at the address."""
        return self._things.get(address)

    def put(self, address: str, values: Mapping[str, Value] | None) -> None:
        """Make it so; None removes it."""
        with self._lock:
            self._keep(address, None if values is None else dict(values))
            if self._file:
                line = json.dumps([address, values])
                with self._file.open("a", encoding="utf-8") as log:
                    log.write(line + "\n")

    @property
    def addresses(self) -> frozenset[str]:
        """Where something is."""
        return frozenset(self._things)

    def _keep(self, address: str, values: dict[str, Value] | None) -> None:
        if values is None:
            self._things.pop(address, None)
        else:
            self._things[address] = values

    def _replay(self, text: str) -> None:
        for line in text.splitlines():
            try:
                address, values = json.loads(line)
            except ValueError:
                continue
            self._keep(address, values)
