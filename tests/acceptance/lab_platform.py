"""As much of a platform as the providers of clusters need, on a `Lab`."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acceptance.lab import Lab
from pgstead.engine.resource import Attribute, Data, Recorded, Resource, Step, Steps
from pgstead.errors import PlatformError
from pgstead.machine import Directory, Machine, OnChange, Software, replace_tokens
from pgstead.reach.base import Finished
from pgstead.waiting import wait


@dataclass(frozen=True)
class LabReach:
    """Runs commands whose words hold tokens, as the local platform does."""

    folder: Path

    def run(self, argv: Sequence[str], *, timeout: float = 60.0) -> Finished:
        words = [replace_tokens(word, lambda _, place: f"{self.folder}{place}") for word in argv]
        done = subprocess.run(words, capture_output=True, text=True, timeout=timeout, check=False)
        return Finished(done.returncode, done.stdout, done.stderr)


class LabPlatform:
    """As much of a platform as the providers of clusters need, on a `Lab`."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def machine(self, name: str, **options: Any) -> Machine:
        member = (
            self.lab.etcd_member(name)
            if name.startswith("etcd")
            else self.lab.patroni_member(name, **options)
        )
        software = Software(directories=(Directory("/data", data=True),))
        return Machine(name, name, self.lab.address(name), software, member)

    def lower(self, machines: Iterable[Machine], digest: Callable[[str], str]) -> Any:
        up = {"running": Attribute("yes", OnChange.RESTART, "running")}
        return tuple(
            Resource(f"machine.{machine.name}", "machine", up, body=machine) for machine in machines
        )

    def create(self, resource: Resource, bindings: Mapping[str, str]) -> Steps:
        yield Step("start", lambda: self.start(resource.body.name, bindings))

    def update(self, resource: Resource, changed: Mapping[str, OnChange]) -> Steps:
        yield Step("stop", lambda: self.lab.end(resource.body.name))
        yield Step("start", lambda: self.start(resource.body.name, {}))

    def delete(self, recorded: Recorded, *, data: Data) -> Steps:
        name = recorded.address.removeprefix("machine.")
        yield Step("stop", lambda: self.lab.end(name))
        if data is Data.DELETE:
            yield Step("remove", lambda: shutil.rmtree(self.lab.path(name), ignore_errors=True))

    def reach(self, machine: str) -> LabReach:
        if not self.lab.path(machine).is_dir():
            raise PlatformError(f"{machine} is not there")
        return LabReach(self.lab.path(machine))

    def keeps_data(self, machine: str) -> bool:
        return False

    def start(self, name: str, bindings: Mapping[str, str]) -> None:
        if name in self.lab.processes:
            return
        options = {}
        if bindings:
            options["state"] = bindings["initial-cluster-state"]
            options["initial"] = bindings["initial-cluster"]
        self.lab.start(name, **options)
        port = 2379 if name.startswith("etcd") else 4443
        wait(lambda: self._listens(name, port), deadline=60, what=f"{name} to listen")

    def _listens(self, name: str, port: int) -> bool:
        try:
            with socket.create_connection((self.lab.address(name), port), timeout=1):
                return True
        except OSError:
            return False
