"""The services' processes: started, waited for, killed."""

from __future__ import annotations

import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from pgstead.run import tail
from pgstead.waiting import wait
from support.openstack.environment import Environment
from support.openstack.services import FIRST, SERVICES

START_SECONDS = 180.0
STOP_SECONDS = 10.0
CONNECT_SECONDS = 1.0


@dataclass
class Processes:
    """Those of one lab, by the service's name."""

    folder: Path
    environment: Environment
    address: str
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start_all(self) -> None:
        """All services at once, though some wait for those that they need; waits for each."""
        for name in FIRST:
            self._spawn(name)
        for name in SERVICES:
            if name not in FIRST and name != "nova":
                self._spawn(name)
        for name in FIRST:
            self._await(name)
        self._spawn("nova")
        for name in SERVICES:
            self._await(name)

    def start(self, name: str) -> None:
        """One that is down; returns when it answers."""
        _wait_for_end(self.running.pop(name))
        self._spawn(name)
        self._await(name)

    def kill(self, name: str) -> None:
        """SIGKILL: whatever it was doing is left as it is."""
        self.running[name].kill()
        self.running[name].wait(STOP_SECONDS)

    def is_up(self, name: str) -> bool:
        """Whether its process runs."""
        return self.running[name].poll() is None

    def stop_all(self) -> None:
        """End all of them. Nothing that they have is needed any more."""
        for process in self.running.values():
            process.kill()
        for process in self.running.values():
            _wait_for_end(process)
        self.running.clear()

    def _spawn(self, name: str) -> None:
        words = ("-m", "support.openstack.inside.serve", name, self.address)
        with (self.folder / "log" / f"{name}.out").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [self.environment.python, *words, str(SERVICES[name].port)],
                stdin=subprocess.PIPE,  # its end is ours
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self.environment.variables,
                start_new_session=True,  # Ctrl-C is for the tests
            )

    def _await(self, name: str) -> None:
        wait(lambda: self._answers(name), deadline=START_SECONDS, what=f"{name} of the lab")

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


def _wait_for_end(process: subprocess.Popen[bytes]) -> None:
    process.wait(STOP_SECONDS)
    if process.stdin:
        process.stdin.close()
