"""The services' processes: started, waited for, killed."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pgstead.run import tail
from pgstead.waiting import wait
from support.openstack.environment import Environment
from support.openstack.services import FIRST, SERVICES

START_SECONDS = 180.0
STOP_SECONDS = 60.0
CONNECT_SECONDS = 1.0


@dataclass(frozen=True)
class Server:
    """The process that serves, by what the system knows it by: its id may be another's soon."""

    handle: int

    def is_up(self) -> bool:
        """Whether it runs."""
        return not self._has_ended(0)

    def kill(self) -> None:
        """SIGKILL, unless it has ended already; returns when it has."""
        if self.is_up():
            signal.pidfd_send_signal(self.handle, signal.SIGKILL)
        assert self._has_ended(STOP_SECONDS)

    def _has_ended(self, seconds: float) -> bool:
        return can_be_read(self.handle, seconds)


def can_be_read(handle: int, seconds: float) -> bool:
    """Whether there is something to read by then, or the end; as for a process that has ended."""
    polled = select.poll()
    polled.register(handle, select.POLLIN)
    return bool(polled.poll(seconds * 1000))


@dataclass
class Processes:
    """Those of one lab, by the service's name: those that serve, and those that fork them."""

    folder: Path
    environment: Environment
    address: str
    parents: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    servers: dict[str, Server] = field(default_factory=dict)

    def start_all(self) -> None:
        """All services at once, though some wait for those that they need; waits for each."""
        for name in SERVICES:
            self._spawn(name)
        for name in FIRST:
            self._fork(name)
        for name in SERVICES:
            if name not in FIRST and name != "nova":
                self._fork(name)
        for name in FIRST:
            self._await(name)
        self._fork("nova")
        for name in SERVICES:
            self._await(name)

    def start(self, name: str) -> None:
        """One that is down; returns when it answers."""
        gone = self.servers.pop(name)
        assert not gone.is_up(), name
        os.close(gone.handle)
        self._fork(name)
        self._await(name)

    def kill(self, name: str) -> None:
        """SIGKILL: whatever it was doing is left as it is."""
        self.servers[name].kill()

    def is_up(self, name: str) -> bool:
        """Whether the process that serves runs."""
        return self.servers[name].is_up()

    def stop_all(self) -> None:
        """End all of them. Nothing that they have is needed any more."""
        for server in self.servers.values():
            server.kill()
            os.close(server.handle)
        for parent in self.parents.values():
            parent.kill()
            parent.communicate(timeout=STOP_SECONDS)
        self.servers.clear()
        self.parents.clear()

    def _spawn(self, name: str) -> None:
        words = ("-m", "support.openstack.inside.serve", name, self.address)
        with (self.folder / "log" / f"{name}.out").open("ab") as log:
            self.parents[name] = subprocess.Popen(
                [self.environment.python, *words, str(SERVICES[name].port)],
                stdin=subprocess.PIPE,  # its end is ours
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                cwd=self.folder,
                env=self.environment.variables,
                start_new_session=True,  # Ctrl-C is for the tests
            )

    def _fork(self, name: str) -> None:
        """Ask for the process that serves; `_await` hears of it."""
        stdin = self.parents[name].stdin
        assert stdin is not None
        with suppress(BrokenPipeError):  # it has ended: `_heard` tells why
            stdin.write(b"\n")

    def _await(self, name: str) -> None:
        if name not in self.servers:
            self.servers[name] = self._heard(name)
        wait(lambda: self._answers(name), deadline=START_SECONDS, what=f"{name} of the lab")

    def _heard(self, name: str) -> Server:
        """The process that serves, as soon as there is one."""
        told = self.parents[name].stdout
        assert told is not None
        ready = can_be_read(told.fileno(), START_SECONDS)
        line = os.read(told.fileno(), 100) if ready else b""
        assert line.endswith(b"\n"), f"{name} does not start: {self.said(name)}"
        try:
            return Server(os.pidfd_open(int(line)))
        except ProcessLookupError:
            raise AssertionError(f"{name} ended at once: {self.said(name)}") from None

    def _answers(self, name: str) -> bool:
        if not self.is_up(name):
            raise AssertionError(f"{name} ended: {self.said(name)}")
        target = (self.address, SERVICES[name].port)
        try:
            socket.create_connection(target, CONNECT_SECONDS).close()
        except OSError:
            return False
        return True

    def said(self, name: str) -> str:
        """The end of what it wrote."""
        files = (self.folder / "log" / f"{name}.{kind}" for kind in ("log", "out"))
        return "\n".join(tail(file.read_text()) for file in files if file.exists())
