"""What stands before a service: it notes each request, and fails those that it is told to fail."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

Environ = dict[str, Any]
Start = Callable[..., Any]


class Rule:
    """What shall happen to requests; the keys of a rule are those of `support...faults.Fault`."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told
        self.seen = 0

    def hits(self, method: str, path: str, agent: str) -> bool:
        told = self.told
        wanted = ((told["method"], method), (told["path"], path), (told["agent"], agent))
        if not all(re.search(pattern, text) for pattern, text in wanted):
            return False
        self.seen += 1
        return bool(told["skip"] < self.seen <= told["skip"] + told["times"])


class Watched:
    """An application in whose requests one can meddle by writing `faults/NAME.json`."""

    def __init__(self, application: Callable[..., Iterable[bytes]], name: str, lab: Path) -> None:
        self.application = application
        self.told = lab / "faults" / f"{name}.json"
        self.log = os.open(lab / "requests" / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.stamp: tuple[int, ...] = ()
        self.rules: list[Rule] = []

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        agent = environ.get("HTTP_USER_AGENT", "")
        rule = next((one for one in self._current() if one.hits(method, path, agent)), None)
        if rule is None or rule.told["late"]:
            answer, status = self._asked(environ, start, swallow=rule is not None)
            if rule is None:
                self._note(method, path, status, agent)
                return answer
        self._note(method, path, "failed", agent)
        return self._fail(rule, start)

    def _asked(self, environ: Environ, start: Start, *, swallow: bool) -> tuple[list[bytes], str]:
        """The whole answer of the service, and its status."""
        heard: list[str] = []

        def note(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            heard.append(status)
            return (lambda _: None) if swallow else start(status, headers, *more)

        parts = self.application(environ, note)
        try:
            return list(parts), (heard or ["?"])[0][:3]
        finally:
            if close := getattr(parts, "close", None):
                close()

    def _fail(self, rule: Rule, start: Start) -> Iterable[bytes]:
        if rule.told["die"]:
            os.kill(os.getpid(), signal.SIGKILL)
        text = b'{"error": {"message": "the lab was told to fail"}}'
        headers = {"Content-Type": "application/json", **rule.told["headers"]}
        start(f"{rule.told['status']} Told to fail", list(headers.items()))
        return [text]

    def _current(self) -> list[Rule]:
        """The rules as they are told now; each counts from when it was told."""
        stamp: tuple[int, ...] = ()
        with suppress(FileNotFoundError):
            seen = self.told.stat()
            stamp = (seen.st_mtime_ns, seen.st_ino)  # a file's time changes in ticks of ms
        if stamp != self.stamp:
            told = json.loads(self.told.read_text()) if stamp else []
            self.stamp, self.rules = stamp, [Rule(one) for one in told]
        return self.rules

    def _note(self, method: str, path: str, status: str, agent: str) -> None:
        os.write(self.log, f"{method}\t{path}\t{status}\t{agent}\n".encode())
