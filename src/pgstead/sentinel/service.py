"""The sentinel as a service of its own: the machine that carries it, and what it runs.

It is one of the stack's machines on the local platform, so that it is planned, started, stopped
and removed like any other. It reads a file that says all it has to know: neither the stack file
nor the state, which its user may not be able to read.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pgstead.errors import StateError
from pgstead.machine import Directory, File, Machine, OnChange, Service, Software, path
from pgstead.membership import Watcher
from pgstead.sentinel.events import Log
from pgstead.sentinel.holding import FileHold
from pgstead.sentinel.target import Target

NAME = "sentinel"
CONFIG = "/etc/pgstead/sentinel.json"
STATE = "/var/lib/pgstead"
EVENTS = f"{STATE}/events.jsonl"
HOLD = f"{STATE}/hold"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the stack's machines are: the folder that holds the stacks', and the stack's name.

    `program` differs after every installation of pgstead, so that a new one takes over.
    """

    folder: str
    stack: str
    stack_id: str
    program: int = 0


def machine(target: Target, stage: Stage, name: str) -> Machine:
    """The machine that carries the sentinel of one cluster; it has no address."""
    content = {
        "format": FORMAT,
        "target": target.to_json(),
        "stage": asdict(stage),
        "events": path(EVENTS),
        "hold": path(HOLD),
    }
    return Machine(
        name=name,
        module=name,
        address="",
        software=Software(
            directories=(Directory(STATE),),
            files=(
                File(
                    CONFIG,
                    json.dumps(content, indent=1) + "\n",
                    mode=0o600,
                    secret=True,
                    on_change=OnChange.RESTART,
                    service=NAME,
                ),
            ),
            services=(
                Service(
                    name=NAME,
                    command=(sys.executable, "-m", "pgstead.sentinel", path(CONFIG)),
                    stop_seconds=30,
                ),
            ),
        ),
        membership=Watcher(target.scope),
    )


@dataclass(frozen=True, slots=True)
class _Settings:
    """Implements what `LocalPlatform` asks of settings; the servers' user runs this."""

    folder: Path
    user: None = None
    network: None = None
    binaries: None = None
    start_at_boot: bool = False


def run(config: Path) -> None:
    """Watch as the file says, until told to stop. Raises `StateError` for what is no such file."""
    from pgstead.platforms.local import LocalPlatform  # noqa: PLC0415 - for the service alone
    from pgstead.sentinel.watching import Post, watch  # noqa: PLC0415 - as above

    said = _read(config)
    stage = Stage(**said["stage"])
    platform = LocalPlatform(_Settings(Path(stage.folder)), stage.stack, stage.stack_id)
    hold, log = FileHold(Path(said["hold"])), Log(Path(said["events"]))
    watch(Post(Target.from_json(said["target"]), platform, hold, log))


def _read(config: Path) -> dict[str, Any]:
    try:
        said: dict[str, Any] = json.loads(config.read_text(encoding="utf-8"))
        known = said["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StateError(f"{config} cannot be read: {error}", hint="`pgstead up`") from None
    if not known:
        raise StateError(f"{config} has format {said['format']}, not {FORMAT}", hint="`pgstead up`")
    return said
