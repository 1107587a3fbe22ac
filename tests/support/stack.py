"""A stack in a temporary folder, worked by the command line as a user works it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

COMMAND = (sys.executable, "-m", "pgstead")
DEADLINE = 240.0
"""Seconds in which any command of a test must end, unless the stack has another one."""

SMALL: dict[str, Any] = {
    "postgres": {"members": 2},
    "etcd": {"members": 1},
    "load_balancer": {"members": 1},
}
"""The smallest cluster with a standby: four machines."""

QUICKSTART: dict[str, Any] = {
    "postgres": {"members": 3, "synchronous": {"strict": True, "node_count": 1}},
    "etcd": {"members": 3},
    "load_balancer": {"members": 1},
}


@dataclass
class Stack:
    """`folder` holds the stack file; `home` stands in for the user's home folder."""

    folder: Path
    name: str
    prefix: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)
    deadline: float = DEADLINE

    @property
    def file(self) -> Path:
        return self.folder / "stack.yaml"

    def write(self, cluster: dict[str, Any] | None = None, **others: Any) -> None:
        """Write the stack file; `others` are its further top level keys."""
        document: dict[str, Any] = {"name": self.name, "platform": {"kind": "local"}, **others}
        if cluster is not None:
            document["cluster"] = cluster
        self.file.write_text(yaml.safe_dump(document, sort_keys=False))

    def start(self, *words: str, command: Sequence[str] = COMMAND) -> subprocess.Popen[str]:
        """Begin a command, without waiting for it."""
        return subprocess.Popen(
            [*self.prefix, *command, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**_inherited(), "HOME": str(self.folder / "home"), **self.environment},
        )

    def run(
        self, *words: str, code: int | None = 0, command: Sequence[str] = COMMAND
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; it must end with that code, unless that is None."""
        process = self.start(*words, command=command)
        try:
            out, err = process.communicate(timeout=self.deadline)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        assert "Traceback" not in err, err
        if code is not None:
            assert process.returncode == code, f"{words}: {process.returncode}\n{out}\n{err}"
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def json(self, *words: str, code: int | None = 0) -> Any:
        """The document that a command prints."""
        return json.loads(self.run(*words, "--format", "json", code=code).stdout)

    def up(self, *words: str) -> Any:
        """Bring it up."""
        return self.json("up", str(self.file), "--yes", *words)

    def plan(self) -> dict[str, dict[str, Any]]:
        """The changes that are pending, by address."""
        made = self.json("plan", str(self.file), code=None)
        return {change["address"]: change for change in made["changes"]}

    def status(self) -> Any:
        """How it is."""
        return self.json("status", str(self.file), code=None)

    def becomes_whole(self, seconds: float = 60) -> None:
        """Wait until all is as it should be."""
        self.run("status", str(self.file), "--wait", str(seconds))

    def roles(self) -> dict[str, str]:
        """The Patroni members' roles."""
        members = self.status()["members"]
        return {m["machine"]: m["role"] for m in members if m["machine"].startswith("postgres-")}

    def leader(self) -> str:
        """The machine that leads."""
        return next(machine for machine, role in self.roles().items() if role == "leader")

    def dsn(self, *words: str) -> str:
        """How to connect."""
        return self.run("dsn", str(self.file), *words).stdout.strip()

    @property
    def root(self) -> Path:
        """The folder that holds the machines' folders, wherever the platform put it."""
        places = [Path("/var/lib/pgstead"), self.folder / "home/.local/share/pgstead"]
        found = [each for place in places for each in place.glob(f"{self.name}-*")]
        assert len(found) == 1, found
        return found[0]

    def machine(self, name: str) -> Path:
        """A machine's folder."""
        return self.root / "machines" / name

    def processes(self) -> list[psutil.Process]:
        """Every process whose working folder or command line names the stack."""
        psutil.process_iter.cache_clear()  # it may know another by an id that is used again
        return [process for process in psutil.process_iter() if self._owns(process)]

    def _owns(self, process: psutil.Process) -> bool:
        mark = f"/{self.name}-"
        try:
            return mark in process.cwd() or any(mark in word for word in process.cmdline())
        except psutil.Error:
            return False

    def destroy(self) -> None:
        """Remove it with its data, and see that nothing is left."""
        self.run("destroy", str(self.file), "--yes", "--delete-data")
        assert not self.processes()
        assert not list(Path("/var/lib/pgstead").glob(f"{self.name}-*"))


def _inherited() -> dict[str, str]:
    """The environment without what would lead a command to another user's things."""
    ours = ("PGSTEAD_", "XDG_", "PG")
    return {key: value for key, value in os.environ.items() if not key.startswith(ours)}


@contextmanager
def stack_in(folder: Path, name: str, **options: Any) -> Iterator[Stack]:
    """A stack that is gone at the end, whatever happened.

    Its name begins with `name`. No other run of the same tests has it: what one that was killed
    left behind is in nobody's way.
    """
    stack = Stack(folder, f"{name}-{secrets.token_hex(2)}", **options)
    (folder / "home").mkdir(exist_ok=True)
    try:
        yield stack
    finally:
        if stack.file.exists():
            stack.destroy()
