"""How a service is started: a script of one command, which the supervisor runs.

The environment is made anew. What the server says goes to its log, which it has open itself:
a pipe of the supervisor's would end it with its next word once the supervisor is gone. A
lock that the server itself holds as long as it lives (`flock --no-fork` becomes the server)
keeps a second one from starting while an earlier one, left by a supervisor that was killed,
is still there.

Standard input stays the supervisor's pipe, which nobody reads or writes: supervisor 4.3
may still watch a descriptor of that number for reading, from a connection that is closed;
were the pipe's other end closed, it would find an error there for ever and spin.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from pgstead.machine import Service
from pgstead.platforms.local.places import MachinePlaces
from pgstead.platforms.local.processes import MACHINE_MARK, SERVICE_MARK
from pgstead.platforms.software import service_digest

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TO_LOG = "2>&1\n"
_START = ["exec", "/usr/bin/env", "-i"]
_LOCK = ["flock", "--no-fork"]
_OWN = 5  # how many variables `environment` gives


def environment(stack_id: str, machine: str, service: str, folder: Path) -> dict[str, str]:
    """What every program of a machine gets."""
    return {
        "PATH": SEARCH_PATH,
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        MACHINE_MARK: f"{stack_id}/{machine}",
        SERVICE_MARK: service,
    }


def script(
    places: MachinePlaces,
    stack_id: str,
    machine: str,
    service: Service,
) -> str:
    """The text of the script; the service's tokens are replaced already."""
    base = environment(stack_id, machine, service.name, places.folder)
    # Of two values for a name, env(1) takes the later one.
    pairs = [f"{key}={value}" for key, value in (*base.items(), *service.environment.items())]
    words = [*_START, *pairs, *_LOCK, str(places.lock(service.name)), *service.command]
    log = shlex.quote(str(places.log(service.name)))
    return f"#!/bin/sh\nexec >>{log} {_TO_LOG}{shlex.join(words)}\n"


def digest_of(text: str) -> str | None:
    """`software.service_digest` of what a script starts; None if it is not one of ours."""
    try:
        words = shlex.split(text.partition(_TO_LOG)[2])
        start = words.index(_LOCK[0])
    except ValueError:
        return None
    if words[:3] != _START or words[start : start + 2] != _LOCK:
        return None
    pairs = [word.partition("=") for word in words[len(_START) + _OWN : start]]
    return service_digest(words[start + 3 :], {key: value for key, _, value in pairs})
